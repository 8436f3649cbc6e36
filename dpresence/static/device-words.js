// The label of a device in the language of the page.

import { BROWSERS, SYSTEMS } from "./device-description.js";
import { _ } from "./texts.js";

/**
 * Return a label as it is shown: the one that a browser gave itself is stored in English.
 * @param {string} label
 */
export function labelInWords(label) {
  const [browser, system] = label.split(" on ");
  const given = Object.values(BROWSERS).includes(browser) && Object.values(SYSTEMS).includes(system);
  return given ? _("%(browser)s on %(system)s", { browser, system }) : label;
}
