// Your data: download it, sign out everywhere, delete it (docs/protocol.md, section 6, Devices and the account).

import { ask, attempt, call, download, leave } from "./page.js";

/** Act on a click, and then leave: who did this is signed out. */
function last(id, [title, detail, yes], method, path, body) {
  document.getElementById(id).addEventListener("click", async ({ currentTarget }) => {
    if (!(await ask(title, detail, yes))) return;
    if (await attempt(currentTarget, () => call(method, path, body))) leave();
  });
}

document.getElementById("export").addEventListener("click", ({ currentTarget }) =>
  attempt(currentTarget, async () => download("dpresence.json", JSON.stringify(await call("GET", "/account"), null, 2))),
);

const EVERYWHERE = "All your browsers and devices have to sign in again. Until then, every application sees you as offline.";
last("everywhere", ["Sign out everywhere?", EVERYWHERE, "Sign out"], "POST", "/logout", { everywhere: true });

const ERASE =
  "Applications can no longer see you. Undelivered notifications and the applications that you registered are deleted. You cannot undo this.";
last("erase", ["Delete all your data?", ERASE, "Delete"], "DELETE", "/account");
