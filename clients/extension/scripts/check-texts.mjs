// Checks the texts of the extension: each is in every language of the pages, with the same places, and is used; no page has others.

import { readFileSync, readdirSync } from "node:fs";

const SRC = new URL("../src/", import.meta.url);
const PAGES = new URL("../../../dpresence/languages/", import.meta.url);
const PLACES = /\$[A-Z]+\$/g;
const OF_THE_MANIFEST = ["name", "description"];
const DESCRIPTION_LENGTH = 132; // of Chrome's store
const problems = [];

const read = (path) => readFileSync(new URL(path, SRC), "utf8");
const messages = (language) => JSON.parse(read(`_locales/${language}/messages.json`));
const places = ({ message }) => [...new Set(message.match(PLACES) ?? [])].sort().join(" ");

const languages = readdirSync(PAGES).filter((name) => name.endsWith(".po")).map((name) => name.slice(0, -3));
const english = messages("en");
if (`${readdirSync(new URL("_locales/", SRC)).sort()}` !== `${["en", ...languages].sort()}`) problems.push("_locales has other languages than the pages");
for (const language of languages) {
  const translated = messages(language);
  for (const key of new Set([...Object.keys(english), ...Object.keys(translated)])) {
    const [one, other] = [english[key], translated[key]];
    if (!one || !other?.message) problems.push(`${language}: ${key} is missing in one of the languages`);
    else if (places(one) !== places(other) || JSON.stringify(one.placeholders) !== JSON.stringify(other.placeholders)) problems.push(`${language}: ${key} has other places`);
  }
  if (translated.description.message.length > DESCRIPTION_LENGTH) problems.push(`${language}: the description is too long`);
  if (translated.language.message !== language) problems.push(`${language}: language is ${translated.language.message}`);
}

const sources = readdirSync(SRC).filter((name) => /\.(js|html)$/.test(name));
const used = sources.map(read).join("\n");
for (const key of Object.keys(english)) if (!OF_THE_MANIFEST.includes(key) && !used.includes(`"${key}"`)) problems.push(`${key} is not used`);
for (const [, key] of used.matchAll(/(?:\btext\(|data-(?:text|label)=)"(\w+)"/g)) if (!english[key]) problems.push(`${key} is not in _locales`);
for (const name of sources.filter((each) => each.endsWith(".html"))) {
  const written = read(name).replace(/<[^>]*>/g, " ").replaceAll(/dpresence|·|,/g, "").trim();
  if (written) problems.push(`${name}: a text outside of _locales: ${written}`);
}

for (const problem of problems) console.error(problem);
process.exitCode = problems.length ? 1 : 0;
