// The lists of the sidebar are created again when something in them changes.

import { byId } from "./dom.js";

/** @param {string} key @returns {HTMLElement | null} */
function keyed(key) {
  return document.querySelector(`[data-key="${CSS.escape(key)}"]`);
}

/**
 * Show a list, or the text for an empty one. The focus stays on the same button of the same item, and what is open stays open.
 * @param {"devices" | "grants" | "notifications"} id
 * @param {HTMLElement[]} items
 */
export function showList(id, items) {
  const focused = document.activeElement?.getAttribute("data-key");
  const open = [...byId(id).querySelectorAll("details[open] > summary")].map((one) => one.getAttribute("data-key") ?? "");
  byId(id).replaceChildren(...items);
  for (const key of open) keyed(key)?.parentElement?.setAttribute("open", "");
  byId(id).hidden = items.length === 0;
  byId(`no-${id}`).hidden = items.length > 0;
  if (focused && document.activeElement === document.body) (keyed(focused) ?? byId(`${id}-title`)).focus();
}
