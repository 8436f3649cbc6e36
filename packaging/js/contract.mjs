// Checks docs/api: the AsyncAPI document by @asyncapi/parser, and that every regular expression is one of ECMA 262.
import { readFileSync } from "node:fs";

import { Parser } from "@asyncapi/parser";

const texts = ["openapi", "asyncapi"].map((name) => readFileSync(new URL(`../../docs/api/${name}.json`, import.meta.url), "utf8"));
let patterns = 0;
for (const text of texts)
  JSON.parse(text, (key, value) => {
    if (key === "pattern" && typeof value === "string") {
      new RegExp(value, "u");
      patterns += 1;
    }
    return value;
  });
const { document, diagnostics } = await new Parser().parse(texts[1]);
const wrong = diagnostics.filter(({ severity }) => severity < 2); // errors and warnings
for (const { path, message } of wrong) console.error(`docs/api/asyncapi.json: ${path.join(".")}: ${message}`);
if (document === undefined || wrong.length > 0 || patterns === 0) process.exit(1);
