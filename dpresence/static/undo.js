// Actions that are held back for some seconds, so that the user can undo them: they are sent when that time is over or the page is left.

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
 * Hold an action back, and offer to undo it. An earlier one is sent now. The focus moves to the button, which follows the lists of the page.
 * @param {string} text what was done
 * @param {() => void} send
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
