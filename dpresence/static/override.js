// The choice of the sidebar that sets a status for all devices of the user, until a time or until it is ended.

import { byId } from "./dom.js";
import { announce, attempt, call } from "./page.js";
import { _ } from "./texts.js";
import { momentInWords } from "./times.js";

/** @typedef {{status: string, merged: string, override: string | null, until: number | null}} PersonStatus */

const HOUR_MS = 3_600_000;
const MORNING_HOUR = 8; // at which "until tomorrow" ends
const status = /** @type {HTMLSelectElement} */ (byId("override"));
const duration = /** @type {HTMLSelectElement} */ (byId("override-for"));

/** Show the override in the service's last answer. @param {PersonStatus} answer */
export function showOverride({ override, until }) {
  if (document.activeElement !== status) status.value = override ?? "";
  duration.hidden = status.value === "";
  byId("unavailable-for").hidden = override !== null;
  byId("end-override").hidden = override === null;
  if (override === null) duration.value = "";
  byId("override-until").textContent = until === null ? "" : _("until %(time)s", { time: momentInWords(until) });
}

/** @param {Date} now */
function tomorrowMorning(now) {
  return new Date(now.getFullYear(), now.getMonth(), now.getDate() + 1, MORNING_HOUR).getTime();
}

/**
 * Set a status for all devices, or end the one that is set.
 * @param {HTMLElement} control @param {string} wanted "" to end it @param {number | null} until
 */
async function send(control, wanted, until) {
  const done = await attempt(control, () => (wanted ? call("PUT", "/status", { status: wanted, until }) : call("DELETE", "/status")));
  if (done) announce(wanted ? _("Your status is set for all your devices.") : _("Each of your devices has its own status again."));
  return done;
}

/** Send each choice to the service. @param {() => void} changed is called after a change */
export function offerOverride(changed) {
  for (const choice of [status, duration]) {
    choice.addEventListener("change", async () => {
      if (status.value === "") duration.value = "";
      const hours = Number(duration.value);
      await send(choice, status.value, hours ? Date.now() + hours * HOUR_MS : null);
      changed();
    });
  }
  /** @type {[string, string, () => number | null][]} */
  const buttons = [
    ["unavailable-hour", "unavailable", () => Date.now() + HOUR_MS],
    ["unavailable-tomorrow", "unavailable", () => tomorrowMorning(new Date())],
    ["end-override", "", () => null],
  ];
  for (const [id, wanted, until] of buttons) {
    const button = byId(id);
    button.addEventListener("click", async () => {
      if (await send(button, wanted, until())) status.focus(); // the button is hidden now
      changed();
    });
  }
}
