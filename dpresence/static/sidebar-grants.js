// What the user does with an application that can see them, on the sidebar.

import { announce, attempt, call, confirmAction } from "./page.js";

/** @typedef {import("./sidebar-items.js").Grant} Grant */

const REVOKED = "The application can no longer see you. Undelivered notifications are deleted. It can ask you again.";

/**
 * Return the actions of the item of a grant.
 * @param {Grant} grant
 * @param {() => Promise<void>} refresh reads the lists again
 * @param {boolean} pushes whether the service has Web Push
 * @returns {import("./sidebar-items.js").GrantActions}
 */
export function grantActions({ appid, domain, paused }, refresh, pushes) {
  /** @param {HTMLElement} control @param {object} body @param {string} done */
  const change = async (control, body, done) => {
    const changed = await attempt(control, () => call("PATCH", `/grant/${appid}`, body));
    await refresh();
    if (changed) announce(done);
  };
  return {
    pause: (button) => change(button, { paused: !paused }, paused ? `${domain} sees your status again.` : `${domain} sees you as offline now.`),
    show: (choice, shows) =>
      change(choice, { shows }, shows === "reachable" ? `${domain} sees only whether you are online.` : `${domain} sees your status.`),
    keep: (button) => change(button, { until: null }, `${domain} sees you until you stop it.`),
    push: pushes
      ? (box, push) => change(box, { push }, `${domain} ${push ? "may notify" : "does not notify"} you while this page is closed.`)
      : null,
    revoke: async (button) => {
      if (!(await confirmAction(`Revoke access for ${domain}?`, REVOKED, "Revoke"))) return;
      if (await attempt(button, () => call("DELETE", `/grant/${appid}`))) announce(`${domain} can no longer see you.`);
      refresh();
    },
  };
}
