// After the user has allowed an application, whose page opened this one: what that means, and how to stop it.

import { byId, setText } from "./dom.js";
import { _ } from "./texts.js";
import { momentInWords } from "./times.js";

const appid = /^#allowed-([\w-]{1,64})$/.exec(location.hash)?.[1] ?? "";
if (appid) history.replaceState(null, "", location.pathname); // a reload does not say it again
let seen = false;

/** Say what the application sees that was just allowed. @param {import("./sidebar-items.js").Grant[]} grants */
export function showAllowed(grants) {
  const grant = grants.find((one) => one.appid === appid);
  byId("allowed").hidden = !grant || seen;
  if (!grant) return;
  const allowed = _("You have allowed %(domain)s to see you. It can see you as online only while this page or another of your devices is connected. You are back there in the other window.", { domain: grant.domain });
  const end = grant.until === null ? "" : _("Its access ends on %(time)s.", { time: momentInWords(grant.until) });
  setText(byId("allowed-text"), `${allowed} ${end}`);
}

byId("allowed-change").addEventListener("click", () => {
  [seen, byId("allowed").hidden] = [true, true];
  const button = /** @type {HTMLElement | null} */ (document.querySelector(`[data-key="pause ${appid}"]`));
  button?.focus();
  button?.scrollIntoView({ block: "center" });
});
