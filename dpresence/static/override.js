// The choice of the sidebar that sets a status for all devices of the user, until a time or until it is ended.

import { byId } from "./dom.js";
import { announce, attempt, call } from "./page.js";
import { _ } from "./texts.js";
import { momentInWords } from "./times.js";

/** @typedef {{status: string, merged: string, override: string | null, until: number | null}} PersonStatus */

const HOUR_MS = 3_600_000;
const status = /** @type {HTMLSelectElement} */ (byId("override"));
const duration = /** @type {HTMLSelectElement} */ (byId("override-for"));

/** Show the override in the service's last answer. @param {PersonStatus} answer */
export function showOverride({ override, until }) {
  if (document.activeElement !== status) status.value = override ?? "";
  duration.hidden = status.value === "";
  if (override === null) duration.value = "";
  byId("override-until").textContent = until === null ? "" : _("until %(time)s", { time: momentInWords(until) });
}

/** Send each choice to the service. @param {() => void} changed is called after a change */
export function offerOverride(changed) {
  for (const choice of [status, duration]) {
    choice.addEventListener("change", async () => {
      if (status.value === "") duration.value = "";
      const hours = Number(duration.value);
      const body = { status: status.value, until: hours ? Date.now() + hours * HOUR_MS : null };
      const done = await attempt(choice, () => (status.value ? call("PUT", "/status", body) : call("DELETE", "/status")));
      if (done) announce(status.value ? _("Your status is set for all your devices.") : _("Each of your devices has its own status again."));
      changed();
    });
  }
}
