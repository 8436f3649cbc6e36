// Disables buttons for a second after they may have appeared under the pointer. Another site can open a page of this service, or bring
// its window to the front, between the two clicks of a double click; nobody reads a page in less than a second. The second begins when
// the browser has painted the page, which may be late on a busy machine.
//
// Every button is disabled after the page was shown or resized. Buttons that agree to something or end something (`guarded`, `danger`)
// are also disabled after the window got or lost the focus. style.css shows it, and disables those of a form before this file runs.

const DISABLED_MS = 1000;
/** @type {Record<"settling" | "refocused", string>} selectors of the buttons that each class of the root element disables */
const DISABLED = { settling: "main button, .guarded, .danger", refocused: ".guarded, .danger" };
/** @type {Partial<Record<keyof typeof DISABLED, number>>} */
const timers = {};
/** @type {Partial<Record<keyof typeof DISABLED, number>>} */
const frames = {};

/**
 * Disable buttons until they were visible for a second.
 * @param {keyof typeof DISABLED} which
 */
export function disableButtons(which) {
  document.documentElement.classList.add(which);
  clearTimeout(timers[which]);
  cancelAnimationFrame(frames[which] ?? 0);
  frames[which] = requestAnimationFrame(() => {
    frames[which] = requestAnimationFrame(() => { // the first one precedes the painting
      timers[which] = setTimeout(() => document.documentElement.classList.remove(which), DISABLED_MS);
    });
  });
}

/** @param {Element} button */
function isDisabled(button) {
  const classes = document.documentElement.classList;
  return Object.entries(DISABLED).some(([which, selector]) => classes.contains(which) && button.matches(selector));
}

/**
 * Cancel the click of a disabled button. Enter in a form and a key on a button are clicks, too.
 * @param {Event} event
 */
function cancelClick(event) {
  const button = event.target instanceof Element && event.target.closest("button");
  if (!button || !isDisabled(button)) return;
  event.preventDefault();
  event.stopImmediatePropagation();
}

addEventListener("click", cancelClick, { capture: true });
addEventListener("pageshow", () => disableButtons("settling"));
addEventListener("resize", () => disableButtons("settling"));
document.addEventListener("visibilitychange", () => disableButtons("settling"));
for (const type of ["focus", "blur"]) addEventListener(type, () => disableButtons("refocused"));
disableButtons("settling");
