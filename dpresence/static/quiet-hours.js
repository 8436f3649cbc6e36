// The choice of the sidebar of quiet hours: from a time to another one, every day, in the time zone of the browser.

import { byId, setText } from "./dom.js";
import { announce, attempt, call, confirmAction } from "./page.js";
import { _ } from "./texts.js";
import { clockTime } from "./times.js";

/** @typedef {{days: string[], from: string, to: string}} Interval */
/** @typedef {{from: string, to: string}} Times */

const DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const on = byId("quiet", HTMLInputElement);
const times = byId("quiet-times");
const [from, to] = ["quiet-from", "quiet-to"].map((id) => byId(id, HTMLInputElement));
/** @type {Times | null} those that the service has; empty texts for hours that a program has set; null without any */
let saved = null;
let zone = ""; // of the hours that the service has
let saving = Promise.resolve(); // one change after the other

/** Show the hours in the service's last answer. @param {{hours: {zone: string, weekly: Interval[]} | null}} answer */
export function showQuietHours({ hours }) {
  if (on.ariaBusy === "true") return;
  const simple = hours === null || (hours.weekly.length === 1 && hours.weekly[0].days.length === DAYS.length);
  [saved, zone] = [hours && { from: "", to: "" }, hours?.zone ?? ""];
  if (hours && simple) saved = { from: hours.weekly[0].from, to: hours.weekly[0].to.replace("24:00", "00:00") };
  if ([on, from, to].some((input) => input === document.activeElement)) return;
  on.checked = hours !== null;
  showTimes(simple);
  if (saved && simple) [from.value, to.value] = [saved.from, saved.to];
}

/** Show the fields, and the time zone of hours in another one, or that a program has set other hours. @param {boolean} simple */
function showTimes(simple) {
  times.hidden = !simple;
  setText(byId("quiet-zone"), saved && zone !== browserZone() ? `(${zone})` : "");
  byId("quiet-other").hidden = simple;
}

/** Return the time of day at which the quiet hours of now end, as its language writes it; "" if it is not known. */
export function quietEnd() {
  if (!saved?.from || saved.from === saved.to || zone !== browserZone()) return "";
  const now = new Date().toTimeString().slice(0, 5);
  const [start, end] = [saved.from, saved.to];
  const within = start < end ? start <= now && now < end : start <= now || now < end;
  return within ? clockTime(end) : "";
}

function browserZone() {
  return Intl.DateTimeFormat().resolvedOptions().timeZone;
}

/** Return whether times can be sent; if not, say so, and leave quiet hours off if they were off. @param {Times} wanted */
function areValid(wanted) {
  if (wanted.from && wanted.to && wanted.from !== wanted.to) return true;
  on.checked = saved !== null;
  announce(_("Choose two different times."), "alert");
  return false;
}

/** @param {Times | null} wanted */
async function send(wanted) {
  zone = browserZone();
  if (wanted) await call("PUT", "/hours", { zone, weekly: [{ days: DAYS, ...wanted }] });
  else await call("DELETE", "/hours");
  saved = wanted;
  showTimes(true);
}

/** @param {Times} sent */
function inWords(sent) {
  return _("Applications see you as offline from %(start)s to %(end)s.", { start: clockTime(sent.from), end: clockTime(sent.to) });
}

/** Return whether hours that this page cannot set again may be deleted; otherwise they stay. */
async function mayDelete() {
  const detail = _("A program has set them, and this page cannot set them again. Applications then see your status at those times, too.");
  on.checked = !(await confirmAction(_("Delete your quiet hours?"), detail, _("Delete")));
  return !on.checked;
}

/** Send what the person has chosen, if the service has something else. @param {() => void} changed is called after a change */
async function save(changed) {
  const wanted = on.checked ? { from: from.value, to: to.value } : null;
  if (JSON.stringify(wanted) === JSON.stringify(saved) || (wanted && !areValid(wanted))) return;
  if (!wanted && times.hidden && !(await mayDelete())) return;
  if (await attempt(on, () => send(wanted))) announce(wanted ? inWords(wanted) : _("You have no quiet hours."));
  else on.checked = saved !== null;
  changed();
}

/**
 * Send each choice to the service; times, once the person leaves both fields or presses Enter: browsers report every complete stage of typing.
 * @param {() => void} changed is called after a change
 */
export function offerQuietHours(changed) {
  const submit = () => (saving = saving.then(() => save(changed)));
  on.addEventListener("change", submit);
  times.addEventListener("focusout", ({ relatedTarget }) => times.contains(/** @type {Node | null} */ (relatedTarget)) || submit());
  times.addEventListener("keydown", ({ key }) => key === "Enter" && submit());
}
