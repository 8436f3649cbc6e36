// Download of the user's data, sign-out everywhere, erasure (docs/protocol.md, section 6, Devices and the account).

import { byId, download } from "./dom.js";
import { ServiceError, attempt, call, confirmAction, signOut } from "./page.js";
import { _ } from "./texts.js";

/**
 * Make a button send a call that signs the user out, after they have confirmed it.
 * @param {string} id
 * @param {[title: string, detail: string, verb: string]} question
 * @param {string} done what the start page says afterwards
 * @param {string} method
 * @param {string} path
 * @param {unknown} [body]
 */
function onConfirmed(id, question, done, method, path, body) {
  const button = byId(id);
  button.addEventListener("click", async () => {
    if (await confirmAction(...question)) await signOut(button, () => call(method, path, body), done);
  });
}

const exportButton = byId("export");
exportButton.addEventListener("click", () =>
  attempt(exportButton, async () => {
    const data = await call("GET", "/account");
    if (!data.complete) throw new ServiceError(503, { errno: 201 }); // a part of the service became unavailable during the answer
    download("dpresence.json", JSON.stringify(data, null, 2));
  }),
);

const EVERYWHERE = _("All your browsers and devices have to sign in again. Until then, every application sees you as offline.");
const SIGNED_OUT = _("You are signed out everywhere.");
onConfirmed("everywhere", [_("Sign out everywhere?"), EVERYWHERE, _("Sign out")], SIGNED_OUT, "POST", "/logout", { everywhere: true });

const ERASE =
  _("Applications can no longer see you. Undelivered notifications and the applications that you registered are deleted. You cannot undo this.");
const ERASED = _("All your data is deleted. No application can see you any more.");
onConfirmed("erase", [_("Delete all your data?"), ERASE, _("Delete")], ERASED, "DELETE", "/account");
