// The actions of the user for an application that can see them, on the sidebar.

import { announce, attempt, call, confirmAction } from "./page.js";
import { _ } from "./texts.js";
import { offerUndo } from "./undo.js";

/** @typedef {import("./sidebar-items.js").Grant} Grant */

/**
 * Return the actions of the item of a grant.
 * @param {Grant} grant
 * @param {() => Promise<void>} refresh reads the lists again
 * @param {boolean} pushes whether the service has Web Push
 * @returns {import("./sidebar-items.js").GrantActions}
 */
export function grantActions({ appid, domain, paused, until }, refresh, pushes) {
  /** @param {HTMLElement | null} control @param {object} body @param {(text: string) => void} say @param {string} done */
  const send = async (control, body, say, done) => {
    const changed = await attempt(control, () => call("PATCH", `/grant/${appid}`, body));
    await refresh();
    if (changed) say(done);
  };
  /** @param {HTMLElement} control @param {object} body @param {string} done */
  const change = (control, body, done) => send(control, body, announce, done);
  const restoreEnd = () => send(null, { until }, announce, _("The access of %(domain)s ends as before.", { domain }));
  const resumed = _("%(domain)s sees your status again.", { domain });
  const hidden = _("%(domain)s sees you as offline now, and its notifications wait.", { domain });
  return {
    pause: (button) => change(button, { paused: !paused }, paused ? resumed : hidden),
    show: (choice, shows) =>
      change(choice, { shows }, shows === "reachable" ? _("%(domain)s sees only whether you are online.", { domain }) : _("%(domain)s sees your status.", { domain })),
    keep: (button) => send(button, { until: null }, (done) => offerUndo(done, () => {}, restoreEnd), _("%(domain)s sees you until you stop it.", { domain })),
    push: pushes ? (box, push) => change(box, { push }, pushChanged(domain, push)) : null,
    revoke: async (button) => {
      const detail = _("The application can no longer see you. Undelivered notifications are deleted. It can ask you again.");
      if (!(await confirmAction(_("Revoke access for %(domain)s?", { domain }), detail, _("Revoke")))) return;
      if (await attempt(button, () => call("DELETE", `/grant/${appid}`))) announce(_("%(domain)s can no longer see you.", { domain }));
      refresh();
    },
  };
}

/** @param {string} domain @param {boolean} on */
function pushChanged(domain, on) {
  if (on) return _("%(domain)s may notify you while this page is closed.", { domain });
  return _("%(domain)s does not notify you while this page is closed.", { domain });
}
