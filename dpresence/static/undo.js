// Actions that the user can undo for some seconds. Those that are held back are sent when that time is over or the page is left.

import { byId, element } from "./dom.js";
import { _ } from "./texts.js";

const HELD_MS = 10_000;
/** @type {(() => void) | null} sends the action that is held back */
let pending = null;

/** Send the action that is held back, if there is one. */
export function sendHeld() {
  pending?.();
}

addEventListener("pagehide", sendHeld);

/**
 * Offer to undo an action, which is held back, or which another call takes back. An earlier one is sent now. The focus moves to the button, which follows the lists of the page.
 * @param {string} text what was done
 * @param {() => void} send sends an action that is held back; does nothing for one that was sent
 * @param {() => void} undo
 */
export function offerUndo(text, send, undo) {
  sendHeld();
  const place = byId("undo");
  const button = element("button", { type: "button", class: "compact" }, _("Undo"));
  /** @param {() => void} action */
  const end = (action) => {
    clearTimeout(timer);
    pending = null;
    const focused = document.activeElement === button;
    place.replaceChildren();
    action();
    if (focused && document.activeElement === document.body) byId("main").focus();
  };
  const timer = setTimeout(() => end(send), HELD_MS);
  pending = () => end(send);
  button.addEventListener("click", () => end(undo));
  place.replaceChildren(element("span", {}, text), " ", button);
  button.focus();
}
