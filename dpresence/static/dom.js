// Functions for elements and text. No page parses text as markup: the policy requires trusted types, and `element` builds nodes.

/**
 * Return the element with an id.
 * @template {HTMLElement} [T=HTMLElement]
 * @param {string} id
 * @param {new () => T} [type] class of the element
 * @returns {T}
 * @throws {TypeError} the page has no such element, or it has another class
 */
export function byId(id, type = /** @type {any} */ (HTMLElement)) {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new TypeError(`#${id} is not an ${type.name}`);
  return found;
}

/**
 * Create an element. Strings become text nodes.
 * @param {string} tag
 * @param {Record<string, string | boolean | undefined>} [attributes]
 * @param {...(Node | string)} children
 * @returns {HTMLElement}
 */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

/**
 * Set the text of an element if it differs: screen readers read out every change.
 * @param {Element} node
 * @param {string} text
 */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/**
 * Return users' text for a place without markup, isolated (UAX 9) so that it does not reorder the text around it.
 * @param {string} text
 * @returns {string}
 */
export function isolate(text) {
  return `\u2068${text.replace(/[\u202a-\u202e\u2066-\u2069]/g, "")}\u2069`;
}

/**
 * Return a URL of http or https, parsed; null for any other text.
 * @param {string} text
 * @returns {URL | null}
 */
export function webAddress(text) {
  try {
    const url = new URL(text);
    return ["http:", "https:"].includes(url.protocol) ? url : null;
  } catch {
    return null; // browsers differ in which URLs they can parse
  }
}

/**
 * Start the download of a text as a file.
 * @param {string} name
 * @param {string} text
 */
export function download(name, text) {
  const file = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
  element("a", { href: file, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(file), 60000);
}
