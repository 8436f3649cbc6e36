// The choice of the sidebar that lets this browser say "unavailable" while the person is away. It is kept in the browser.

import { byId } from "./dom.js";
import { announce } from "./page.js";
import { requestPermission } from "./presence.js";
import { _, ngettext } from "./texts.js";

/** @typedef {import("./shared-device.js").SharedDevice} SharedDevice */

const choice = byId("away", HTMLSelectElement);

/** Show the choice, and whether the person is away. @param {SharedDevice} me */
export function showAway(me) {
  const minutes = String(me.awayMinutes || "");
  if (document.activeElement !== choice) choice.value = minutes;
  byId("away-how").hidden = minutes === "";
  byId("away-now").hidden = me.effective === me.status;
}

/** Keep each choice, and act on it at once. @param {SharedDevice} me */
export function offerAway(me) {
  choice.addEventListener("change", async () => {
    const minutes = Number(choice.value);
    if (minutes) await requestPermission(); // before the watch begins: it sees the lock of the screen, too
    me.setAwayMinutes(minutes);
    announce(minutes
      ? ngettext("This browser says unavailable after %(num)s minute without input.", "This browser says unavailable after %(num)s minutes without input.", minutes)
      : _("This browser keeps its status while you are away."));
  });
}
