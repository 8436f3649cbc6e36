// Buttons that came under the pointer a moment ago do not count. Another site can open a page of ours, or bring its window to the front,
// between the two clicks of a double click; nobody reads a page in less than a second.
//
// Dead are: every button of the page after it was shown or resized, and those that agree to something or end something (`guarded`,
// `danger`) also after the window got or lost the focus. style.css shows it, and keeps those of a form dead before this file runs.

const DEAD_MS = 1000;
const DEAD = { settling: "main button, .guarded, .danger", refocused: ".guarded, .danger" };
const timers = {};

/** Let buttons be dead for a moment. @param {keyof DEAD} which */
export function pause(which) {
  document.documentElement.classList.add(which);
  clearTimeout(timers[which]);
  timers[which] = setTimeout(() => document.documentElement.classList.remove(which), DEAD_MS);
}

function isDead(button) {
  return Object.entries(DEAD).some(([which, selector]) => document.documentElement.classList.contains(which) && button.matches(selector));
}

/** Keep a click from whatever is dead. Enter in a form and a key on a button are clicks, too. */
function swallow(event) {
  const button = event.target.closest?.("button");
  if (!button || !isDead(button)) return;
  event.preventDefault();
  event.stopImmediatePropagation();
}

addEventListener("click", swallow, { capture: true });
addEventListener("pageshow", () => pause("settling"));
addEventListener("resize", () => pause("settling"));
document.addEventListener("visibilitychange", () => pause("settling"));
for (const type of ["focus", "blur"]) addEventListener(type, () => pause("refocused"));
pause("settling");
