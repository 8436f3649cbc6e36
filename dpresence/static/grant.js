// The question of an application: who allows it can have the page opened that keeps them reachable (docs/pages.md).

import { root } from "./page.js";

const WINDOW = "popup,noopener,width=420,height=780";

const choice = document.getElementById("open");
if (choice) {
  document.getElementById("open-choice").hidden = false;
  document.getElementById("answer").addEventListener("submit", ({ submitter }) => {
    if (submitter?.name === "allow" && choice.checked) open(`${root}/sidebar`, "_blank", WINDOW);
  });
}
