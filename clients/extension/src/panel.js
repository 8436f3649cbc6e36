// The panel beside the page: status and notifications.

import { unreadIds } from "./inbox.js";
import { byId, element, setText, webAddress } from "./lib/dom.js";
import { follow, order } from "./page.js";
import { connectionInWords } from "./status.js";
import { shown, stored } from "./storage.js";
import { fillPage, text } from "./texts.js";

/** @typedef {import("./inbox.js").Entry} Entry */

fillPage();
const time = new Intl.DateTimeFormat(text("language"), { dateStyle: "medium", timeStyle: "short" });
const choices = [.../** @type {NodeListOf<HTMLButtonElement>} */ (document.querySelectorAll(".choice button"))];
let listed = "";

/** Return a link or button with an order that a click gives. @param {HTMLElement} control @param {string} name @param {object} values */
function ordering(control, name, values) {
  control.addEventListener("click", () => order(name, values));
  return control;
}

/** @param {Entry} entry */
function item(entry) {
  const link = webAddress(entry.action);
  const head = [element("strong", {}, entry.domain), " ", element("bdi", {}, entry.source), " ", element("time", {}, time.format(entry.sent))];
  const actions = element("p");
  const { id } = entry;
  if (link) actions.append(ordering(element("a", { href: link.href, target: "_blank", rel: "noopener noreferrer" }, text("open")), "opened", { id }), " ");
  if (!entry.read) actions.append(ordering(element("button", { type: "button", class: "quiet" }, text("markRead")), "read", { ids: [id] }));
  return element("li", { class: entry.read ? "" : "unread" }, element("p", { class: "small" }, ...head),
    element("p", { class: "message", dir: "auto" }, entry.message), actions);
}

/** @param {Entry[]} inbox @param {number} unread at the service */
function showInbox(inbox, unread) {
  const here = unreadIds(inbox).length;
  if (JSON.stringify(inbox) !== listed) byId("inbox").replaceChildren(...inbox.map(item));
  listed = JSON.stringify(inbox);
  byId("empty").hidden = inbox.length > 0;
  byId("inbox-actions").hidden = here === 0;
  byId("unread").hidden = unread === 0;
  setText(byId("unread"), text("unread", unread));
  byId("elsewhere").hidden = unread <= here;
  setText(byId("elsewhere"), text("moreElsewhere", unread - here));
}

async function render() {
  const [{ account, chosen, inbox }, { state, status, unread, problem }] = await Promise.all([stored(), shown()]);
  byId("nobody").hidden = account !== null;
  byId("somebody").hidden = account === null;
  setText(byId("nobody-problem"), problem);
  if (account === null) return;
  const connected = state.state === "connected";
  byId("state").dataset.status = connected ? status : "unknown";
  setText(byId("state"), text(connected ? status : "notConnected"));
  setText(byId("connection"), connected && status !== chosen ? text("awayFromComputer") : connectionInWords(state));
  byId("stopped").hidden = connected || state.state === "connecting";
  for (const button of choices) button.setAttribute("aria-pressed", String(button.dataset.status === chosen));
  showInbox(inbox, unread);
  setText(byId("email"), account.email);
  byId("my-presence", HTMLAnchorElement).href = `${account.service}/sidebar`;
}

async function setEverything() {
  const { value: status } = byId("override", HTMLSelectElement);
  await order("override", { status: status || null, duration: status ? byId("duration", HTMLSelectElement).value : "" });
  if ((await shown()).state.state !== "connected") setText(byId("said"), text("sentWhenConnected"));
  else setText(byId("said"), text(status ? "sent" : "ownStatusAgain"));
}

for (const button of choices) button.addEventListener("click", () => order("status", { status: button.dataset.status }));
byId("everything").addEventListener("submit", (event) => {
  event.preventDefault();
  setEverything();
});
byId("retry").addEventListener("click", () => order("retry"));
byId("read-all").addEventListener("click", () => order("read"));
byId("set-up").addEventListener("click", () => chrome.runtime.openOptionsPage());
follow(render);
