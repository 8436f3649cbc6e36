// The texts that a person reads, in the language of the browser: `_locales` has them, and `scripts/check-texts.mjs` checks them.

/**
 * Return a text.
 * @param {string} key of messages.json
 * @param {...(string | number)} values of its placeholders, in order
 */
export function text(key, ...values) {
  return chrome.i18n.getMessage(key, values.map(String)) || key;
}

/** Fill the elements of this page: `data-text` has the key of a text, `data-label` that of a label, and `data-minutes` a value. */
export function fillPage() {
  const { documentElement: root } = document;
  [root.lang, root.dir] = [text("language"), text("direction")];
  for (const each of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-text]"))) {
    each.textContent = text(each.dataset.text ?? "", each.dataset.minutes ?? "");
  }
  for (const each of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-label]"))) {
    each.setAttribute(each.tagName === "IMG" ? "alt" : "aria-label", text(each.dataset.label ?? ""));
  }
}
