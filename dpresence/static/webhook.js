// The webhook of an application, on its page: state, secret, tests, log (docs/protocol.md, section 6, Webhooks).

import { byId, element } from "./dom.js";
import { onSubmit } from "./form.js";
import { announce, attempt, call, confirmAction, onClick } from "./page.js";
import { _, parts } from "./texts.js";
import { momentInWords, timeElement } from "./times.js";

/** @typedef {{at: number, type: string, outcome: string, status: number | null, error: string, milliseconds: number, attempts: number, entries: number, since: string | null}} Attempt */
/**
 * @typedef {{url: string, events: string[], state: "on" | "off", reason: string | null, failing_since: number | null, next_attempt_at: number | null,
 *   log: Attempt[]}} Webhook times in milliseconds
 */

const REFRESH_MS = 10000;
const section = byId("webhook");
const path = `/myapps/${byId("application").dataset.appid}/webhook`;
const field = byId("webhook-url", HTMLInputElement);
const rows = byId("webhook-attempts");
let shownLog = "";
/** @type {Record<string, string>} */
const TYPES = {
  "presence.updates": _("Updates"),
  "presence.snapshot": _("Everyone's status"),
  "notification.outcomes": _("What became of notifications"),
  "webhook.test": _("Test"),
};
/** @type {Record<string, string>} */
const OUTCOMES = {
  timeout: _("No answer in time"),
  dns: _("The name has no public address"),
  refused: _("No server answers there"),
  tls: _("The certificate is not valid"),
};
/** @type {Record<string, string>} */
const REASONS = {
  gone: _("The service has turned it off, as the endpoint answered that it is gone (status 410)."),
  failing: _("The service has turned it off, as nothing could be delivered for five days."),
};

/** @param {Attempt} attempt */
function result({ outcome, status }) {
  if (outcome === "delivered") return _("Delivered");
  return OUTCOMES[outcome] ?? _("The endpoint answered with status %(status)s", { status: status ?? "?" });
}

/** @param {Attempt} attempt */
const duration = ({ milliseconds }) => _("%(num)s ms", { num: milliseconds });

/** @param {Attempt} item */
function row(item) {
  const failed = item.outcome !== "delivered";
  const number = item.attempts > 1 ? ` ×${item.attempts}` : "";
  const cells = [
    timeElement(item.at),
    TYPES[item.type] ?? item.type,
    element("span", { class: "status", "data-status": failed ? "bad" : "good", title: item.error || undefined }, result(item) + number),
    String(item.entries),
    duration(item),
    item.since === null ? "" : replayButton(item.type === "notification.outcomes" ? { outcomes: item.since } : { since: item.since }, item.at),
  ];
  return element("tr", {}, ...cells.map((cell) => element("td", {}, cell)));
}

/**
 * @param {{since: string} | {outcomes: string}} after
 * @param {number} at milliseconds since the epoch
 */
function replayButton(after, at) {
  const label = _("Send again from here on: %(time)s", { time: momentInWords(at) });
  const button = element("button", { type: "button", class: "quiet compact", "aria-label": label }, _("Send again from here on"));
  button.addEventListener("click", () => attempt(button, () => replay(after)));
  return button;
}

/** @param {Webhook} webhook */
function show(webhook) {
  const failing = webhook.state === "on" && webhook.failing_since !== null;
  section.dataset.webhook = webhook.state;
  const badge = byId("webhook-badge");
  badge.className = `badge ${webhook.state === "off" ? "bad" : failing ? "warn" : "good"}`;
  badge.textContent = webhook.state === "off" ? _("Off") : failing ? _("Failing") : _("On");
  byId("webhook-snapshot").hidden = !webhook.events.includes("presence");
  byId("webhook-note").replaceChildren(...note(webhook, failing));
  byId("webhook-log-empty").hidden = webhook.log.length > 0;
  byId("webhook-log").hidden = webhook.log.length === 0;
  showLog(webhook.log);
}

/**
 * Show the attempts. The focus stays on the button of its attempt.
 * @param {Attempt[]} log
 */
function showLog(log) {
  const now = JSON.stringify(log);
  if (now === shownLog) return;
  shownLog = now;
  const focused = rows.contains(document.activeElement) ? document.activeElement?.ariaLabel : null;
  rows.replaceChildren(...log.map(row));
  if (focused) [...rows.querySelectorAll("button")].find((button) => button.ariaLabel === focused)?.focus();
}

/**
 * @param {Webhook} webhook
 * @param {boolean} failing
 * @returns {(string | Node)[]}
 */
function note(webhook, failing) {
  if (webhook.state === "off") return [REASONS[webhook.reason ?? ""] ?? ""];
  if (!failing || webhook.next_attempt_at === null) return [];
  const isSoon = webhook.next_attempt_at < Date.now() + 60_000;
  const times = { since: timeElement(webhook.failing_since ?? 0), next: isSoon ? _("now") : timeElement(webhook.next_attempt_at) };
  return parts("Nothing can be delivered. The first failure: %(since)s. The next attempt: %(next)s.", times);
}

/** Read and show the webhook. */
async function refresh() {
  if (section.dataset.webhook !== "none") show(await call("GET", path));
}

/** Refresh while the page is open and visible. */
async function refreshRepeatedly() {
  if (!document.hidden) await refresh().catch(() => undefined); // the page's own refresh of its counts says what is wrong
  setTimeout(refreshRepeatedly, REFRESH_MS);
}

/**
 * Show a new secret until the user confirms that they have stored it.
 * @param {string} secret
 * @param {boolean} rotated
 */
function showSecret(secret, rotated) {
  byId("secret").textContent = secret;
  byId("secret-overlap").hidden = !rotated;
  byId("new-secret").hidden = false;
  byId("new-secret").focus();
}

function hideSecret() {
  byId("secret").textContent = "";
  byId("new-secret").hidden = true;
}

onSubmit(byId("webhook-form", HTMLFormElement), async ({ url, ...checked }) => {
  const stored = await call("PUT", path, { url, events: ["presence", "outcome"].filter((event) => event in checked) });
  section.dataset.webhook = stored.state;
  if (stored.secret) showSecret(stored.secret, false);
  else announce(_("Saved."));
  await refresh();
});

onClick("secret-stored", () => {
  hideSecret();
  byId("webhook-secret").focus();
});

onClick("webhook-test", async () => {
  byId("webhook-result").textContent = "";
  /** @type {Attempt} */
  const tested = await call("POST", `${path}/test`);
  byId("webhook-result").textContent =
    tested.outcome === "delivered"
      ? _("The test was delivered after %(duration)s.", { duration: duration(tested) })
      : _("The test failed: %(reason)s.", { reason: result(tested) });
  await refresh();
});

onClick("webhook-secret", async () => {
  const detail = _("The present secret ends in a day. The service of the application has to check with the new one by then.");
  if (!(await confirmAction(_("Create a new secret?"), detail, _("Create")))) return;
  const { secret } = await call("POST", `${path}/secret`);
  showSecret(secret, true);
});

/** @param {{since: string | null} | {outcomes: string}} after */
async function replay(after) {
  const detail = _("Your endpoint gets these messages again. That is harmless for one that stores the newest status of each person.");
  if (!(await confirmAction(_("Send again?"), detail, _("Send again")))) return;
  await call("POST", `${path}/replay`, after);
  announce(_("The messages are being sent again."));
  await refresh();
}

onClick("webhook-snapshot", () => replay({ since: null }));

onClick("webhook-delete", async () => {
  const detail = _("Nothing more is sent. The secret and the list of deliveries are deleted.");
  if (!(await confirmAction(_("Turn off the webhook?"), detail, _("Turn off and delete")))) return;
  await call("DELETE", path);
  hideSecret();
  section.dataset.webhook = "none";
  byId("webhook-result").textContent = "";
  announce(_("The webhook is deleted."));
  field.focus();
});

refreshRepeatedly();
