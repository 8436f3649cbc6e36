// What a person may do with all that is held about her (docs/protocol.md, section 6, Devices and the account).

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

const EVERYWHERE = "Every browser and device of yours has to sign in anew. Until then you are offline to everybody.";
last("everywhere", ["Sign out everywhere?", EVERYWHERE, "Sign out"], "POST", "/logout", { everywhere: true });

const ERASE =
  "No application sees you any more, what waits for you is thrown away, and applications that you registered are deleted. This cannot be undone.";
last("erase", ["Erase everything about you?", ERASE, "Erase"], "DELETE", "/account");
