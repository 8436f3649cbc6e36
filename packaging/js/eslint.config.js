// ESLint for the JavaScript of the project. tsc checks names and types; the rules here find mistakes that types do not show.
import js from "@eslint/js";

import { rule } from "./literals.js";

export default [
  { ignores: ["**/types/", "clients/js/src/device/", "clients/extension/src/lib/", "**/*.ts", "**/.venv/"] },
  js.configs.recommended,
  {
    languageOptions: { ecmaVersion: 2024, sourceType: "module" },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      "no-undef": "off", // tsc knows the names of browsers
      "no-eval": "error",
      "no-implied-eval": "error",
      "no-new-func": "error",
      "no-var": "error",
      "prefer-const": "error",
      eqeqeq: "error",
      curly: ["error", "multi-line"],
      "no-shadow": "error",
      "no-throw-literal": "error",
      "no-unused-expressions": ["error", { allowShortCircuit: true }],
      "no-restricted-properties": ["error", ...["innerHTML", "outerHTML", "insertAdjacentHTML", "write"].map((property) => (
        { property, message: "The policy requires trusted types: build elements." }))],
      "max-lines": ["error", 300],
      "max-lines-per-function": ["error", 40],
    },
  },
  {
    files: ["dpresence/static/*.js", "clients/extension/src/*.js"],
    ignores: ["dpresence/static/presence*.js"], // the client library: its texts are for developers
    plugins: { texts: { rules: { catalogue: rule } } },
    rules: { "texts/catalogue": "error" },
  },
  { files: ["examples/express/*.js"], rules: { "no-restricted-properties": "off" } }, // it runs in Node, where a stream has `write`
];
