// Gives Node the English texts, as a browser gives them to the extension.

import { readFileSync } from "node:fs";

const messages = JSON.parse(readFileSync(new URL("../src/_locales/en/messages.json", import.meta.url), "utf8"));

/** @param {string} key @param {string[]} values */
function getMessage(key, values) {
  const { message, placeholders = {} } = messages[key];
  return message.replace(/\$([A-Z]+)\$/g, (_, name) => values[Number(placeholders[name.toLowerCase()].content.slice(1)) - 1]);
}

globalThis.chrome = { i18n: { getMessage } };
