// A device of a user, on a page that does not belong to the presence service.

import { PresenceChannel as Device } from "http://127.0.0.1:8282/static/presence.js";

/** Return an assertion, or null when nobody is signed in. With OpenID Connect, it is the ID token of your own sign-in. */
async function signIn() {
  const answer = await fetch("/assertion", { method: "POST", signal: AbortSignal.timeout(15000) }); // the client waits for it without a limit
  if (answer.status === 401) return null;
  if (!answer.ok) throw new Error(`this site answers ${answer.status}`);
  return answer.text();
}

const me = new Device({ email: "ada@example.org", device: "other-origin", signIn });
const buttons = document.querySelectorAll("button[data-status]");

function showStatus() {
  for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.status === me.status));
}

me.addEventListener("state", ({ detail }) => {
  const words = detail.state === "waiting" ? `not connected, tries again in ${detail.seconds} s` : detail.state;
  document.querySelector("#state").textContent = [words, detail.reason].filter(Boolean).join(": ");
});
me.addEventListener("notification", ({ detail }) => {
  const item = document.createElement("li");
  item.textContent = `${detail.domain}: ${detail.message}`; // the domain first: it is verified, the name of the sender is not
  document.querySelector("#notifications").prepend(item);
});
for (const button of buttons) {
  button.addEventListener("click", () => {
    me.setStatus(button.dataset.status);
    showStatus();
  });
}
showStatus();
me.start();
