// The choice of the sidebar of quiet hours: from a time to another one, every day, in the time zone of the browser.

import { byId } from "./dom.js";
import { announce, attempt, call } from "./page.js";
import { _ } from "./texts.js";

/** @typedef {{days: string[], from: string, to: string}} Interval */

const DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const on = byId("quiet", HTMLInputElement);
const [from, to] = ["quiet-from", "quiet-to"].map((id) => byId(id, HTMLInputElement));

/** Show the hours in the service's last answer. @param {{hours: {zone: string, weekly: Interval[]} | null}} answer */
export function showQuietHours({ hours }) {
  if ([on, from, to].some((input) => input === document.activeElement)) return;
  on.checked = hours !== null;
  const simple = hours === null || (hours.weekly.length === 1 && hours.weekly[0].days.length === DAYS.length);
  byId("quiet-times").hidden = !simple;
  byId("quiet-other").hidden = simple;
  if (hours && simple) [from.value, to.value] = [hours.weekly[0].from, hours.weekly[0].to.replace("24:00", "00:00")];
}

/** Send each choice to the service. @param {() => void} changed is called after a change */
export function offerQuietHours(changed) {
  for (const input of [on, from, to]) {
    input.addEventListener("change", async () => {
      if (input !== on && !on.checked) return;
      const { timeZone: zone } = Intl.DateTimeFormat().resolvedOptions();
      const hours = { zone, weekly: [{ days: DAYS, from: from.value, to: to.value }] };
      const done = await attempt(input, () => (on.checked ? call("PUT", "/hours", hours) : call("DELETE", "/hours")));
      if (done) announce(on.checked ? _("Applications see you as offline from %(start)s to %(end)s.", { start: from.value, end: to.value }) : _("You have no quiet hours."));
      changed();
    });
  }
}
