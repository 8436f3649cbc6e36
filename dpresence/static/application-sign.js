// The sign of an application: its icon, else the first letter of its domain. It proves nothing, and the domain stands beside it.

import { element } from "./dom.js";

const HUES = 12; // docs/design.md
/** Path prefix of this service. */
const root = new URL("..", import.meta.url).pathname.slice(0, -1);

/**
 * Return the sign of an application, as `sign` in `views/templates.py`. The hue of a letter is chosen by the id.
 * @param {{appid: string, domain: string, icon?: string}} application
 */
export function applicationSign({ appid, domain, icon }) {
  if (icon) return element("img", { class: "sign", src: root + icon, alt: "", width: "40", height: "40" });
  const hue = [...appid].reduce((sum, letter) => sum + letter.charCodeAt(0), 0) % HUES;
  return element("span", { class: "sign", "data-hue": String(hue), "aria-hidden": "true" }, domain[0].toUpperCase());
}
