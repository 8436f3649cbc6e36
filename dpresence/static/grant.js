// The grant page. If the user wants it, granting also opens the sidebar, which keeps them connected (docs/pages.md).

import { byId } from "./dom.js";
import { root } from "./page.js";

const WINDOW = "popup,noopener,width=420,height=780";

const today = document.getElementById("today");
if (today instanceof HTMLOptionElement) {
  today.value = String(new Date().setHours(24, 0, 0, 0)); // the end of the day here
  today.hidden = today.disabled = false;
}

const choice = document.getElementById("open");
if (choice instanceof HTMLInputElement) {
  byId("open-choice").hidden = false;
  byId("answer").addEventListener("submit", ({ submitter }) => {
    const appid = location.pathname.split("/").at(-1);
    if (submitter?.getAttribute("name") === "allow" && choice.checked) open(`${root}/sidebar#allowed-${appid}`, "_blank", WINDOW);
  });
}
