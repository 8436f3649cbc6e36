// Texts in the language of the page. Sources have them in English; the script `texts-<language>.js`, which a page in another language
// loads before all others, installs the translations of that language (docs/pages.md).

const { lang = "en", dir = "" } = globalThis.document?.documentElement ?? {};
/** Tag of the language of the page. */
export const language = lang || "en";
const rules = new Intl.PluralRules(language);
/** @type {Record<string, string | string[]>} translations by English text; those with a number have one for each form */
let translations = {};
/** @type {Partial<Record<Intl.LDMLPluralRule, number>>} index of the form of each category */
let forms = {};

/** Locale for numbers and times: the language of the page, as it is written in the region that the browser names. */
export const locale = new Intl.Locale(globalThis.navigator?.languages?.find((tag) => tag.split("-")[0] === language) ?? language, {
  calendar: "gregory",
  numberingSystem: "latn", // as in the templates
});
const number = new Intl.NumberFormat(locale);

/**
 * Install translations.
 * @param {typeof translations} texts
 * @param {typeof forms} indices
 */
export function install(texts, indices) {
  [translations, forms] = [texts, indices];
}

/** @param {string} message */
function translate(message) {
  const found = translations[message];
  return typeof found === "string" ? found : message;
}

/**
 * Fill in values. Where text runs from right to left, each is isolated (UAX 9), so that it does not reorder the text around it.
 * @param {string} text
 * @param {Record<string, string | number>} values
 */
function fill(text, values) {
  return text.replace(/%\((\w+)\)s/g, (_found, name) => (dir === "rtl" ? `\u2068${values[name]}\u2069` : String(values[name])));
}

/**
 * Return a text in the language of the page.
 * @param {string} message the English text, a literal, with places such as `%(domain)s`
 * @param {Record<string, string | number>} [values]
 * @returns {string}
 */
export function _(message, values = {}) {
  return fill(translate(message), values);
}

/**
 * Return the form of a text for a number, which is its value `num`.
 * @param {string} singular
 * @param {string} plural
 * @param {number} num
 * @param {Record<string, string | number>} [values]
 * @returns {string}
 */
export function ngettext(singular, plural, num, values = {}) {
  const found = translations[singular];
  const category = rules.select(num);
  const text = Array.isArray(found) ? found[forms[category] ?? found.length - 1] : category === "one" ? singular : plural;
  return fill(text, { num: number.format(num), ...values });
}

/**
 * Return a text as a list of strings and of the elements or texts that are its values.
 * @param {string} message see `_`
 * @param {Record<string, string | Node>} values
 * @returns {(string | Node)[]}
 */
export function parts(message, values) {
  const pieces = translate(message).split(/%\((\w+)\)s/);
  return pieces.map((piece, index) => (index % 2 ? values[piece] : piece)).filter((piece) => piece !== "");
}
