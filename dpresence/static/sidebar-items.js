// The items of the lists of the sidebar: applications with a grant, notifications.

import { applicationSign } from "./application-sign.js";
import { element, isolate, webAddress } from "./dom.js";
import { hoursInWords } from "./hours-words.js";
import { explanation } from "./sidebar-explanation.js";
import { _, parts } from "./texts.js";
import { dayInWords, momentInWords, timeElement } from "./times.js";

/**
 * @typedef {{appid: string, name: string, domain: string, paused: boolean, quiet: boolean, shows: string, until: number | null, hours: import("./hours-words.js").Hours | null, granted_at: number, last_looked: string | null, push: boolean, looks: Looks[], sees: string | null, why: Link[], icon?: string}} Grant
 *   `granted_at` is in milliseconds, `last_looked` is a day
 */
/**
 * @typedef {{
 *   pause: (button: HTMLElement) => void,
 *   show: (choice: HTMLElement, shows: string) => void,
 *   keep: (button: HTMLElement) => void,
 *   push: ((box: HTMLElement, on: boolean) => void) | null,
 *   revoke: (button: HTMLElement) => void,
 * }} GrantActions `pause` also ends a pause, `show` changes what the grant shows, `keep` removes its end; `push` is null without Web Push
 */
/** @typedef {import("./presence-types.js").Notification} Notification */
/** @typedef {import("./sidebar-explanation.js").Looks} Looks */
/** @typedef {import("./sidebar-explanation.js").Link} Link */

/**
 * Return a small button of an item.
 * @param {string} label
 * @param {string} subject what it acts on, for screen readers
 * @param {string} key identifies the button when the list is created again
 * @param {string} style classes
 * @param {(button: HTMLElement) => void} action
 */
export function itemButton(label, subject, key, style, action) {
  const attributes = { "data-key": key, "aria-label": _("%(action)s %(subject)s", { action: label, subject }) };
  const button = element("button", { type: "button", class: `${style} compact guarded`, ...attributes }, label);
  button.addEventListener("click", () => action(button));
  return button;
}

/**
 * Return the item of an application with a grant.
 * @param {Grant} grant
 * @param {GrantActions} actions
 */
export function grantItem(grant, { pause, show, keep, push, revoke }) {
  const { appid, name, domain, paused, quiet, shows, until, hours, granted_at: grantedAt, last_looked: lastLooked } = grant;
  const buttons = [
    itemButton(paused ? _("Resume") : _("Pause"), domain, `pause ${appid}`, "quiet", pause),
    itemButton(_("Revoke"), domain, `revoke ${appid}`, "danger quiet", revoke),
  ];
  const hidden = paused ? _("Paused: sees you as offline") : quiet ? _("Quiet hours: sees you as offline") : "";
  const title = [element("h3", {}, domain), ...(hidden ? [element("span", { class: "badge warn" }, hidden)] : [])];
  const end = until === null ? [] : [element("p", { class: "row small" }, _("Ends on %(time)s", { time: momentInWords(until) }), itemButton(_("Keep"), domain, `keep ${appid}`, "quiet", keep))];
  const quietHours = hours ? [element("p", { class: "small" }, _("Sees you as offline %(hours)s", { hours: hoursInWords(hours) }))] : [];
  const about = [
    element("div", {}, element("div", { class: "row" }, ...title), element("p", { class: "name", dir: "auto" }, name)),
    element("p", { class: "small" }, ...parts("Allowed %(time)s; last active: %(day)s", { time: timeElement(grantedAt), day: dayInWords(lastLooked) })),
    ...end,
    ...quietHours,
    showsChoice(appid, domain, shows, show),
    ...(push ? [pushChoice(grant, push)] : []),
    explanation(grant),
    element("p", { class: "row" }, ...buttons),
  ];
  return element("li", { class: "signed" }, applicationSign(grant), element("div", { class: "stack" }, ...about));
}

/**
 * Return the choice of what a grant shows.
 * @param {string} appid @param {string} domain @param {string} shows the present choice
 * @param {(choice: HTMLElement, shows: string) => void} show
 */
function showsChoice(appid, domain, shows, show) {
  const options = Object.entries({ status: _("your exact status"), reachable: _("only if you are online") });
  const attributes = { class: "compact fill", "data-key": `shows ${appid}`, "aria-label": _("What %(domain)s sees", { domain }) };
  const choice = element("select", attributes, ...options.map(([value, text]) => element("option", { value, selected: value === shows }, text)));
  choice.addEventListener("change", () => show(choice, /** @type {HTMLSelectElement} */ (choice).value));
  return element("p", { class: "row small" }, _("Sees"), choice);
}

/**
 * Return the choice of whether an application's notifications are pushed.
 * @param {Grant} grant
 * @param {(box: HTMLElement, on: boolean) => void} push
 */
function pushChoice({ appid, domain, push: on }, push) {
  const box = element("input", { type: "checkbox", checked: on, "data-key": `push ${appid}`, "aria-label": _("%(domain)s may notify me while this page is closed", { domain }) });
  box.addEventListener("change", () => push(box, /** @type {HTMLInputElement} */ (box).checked));
  return element("label", { class: "small" }, box, " ", _("May notify me while this page is closed"));
}

/**
 * Return the action of a notification as a link. The service has checked that it is on the application's domain.
 * @param {Notification} notification
 */
function actionLink({ action }) {
  const url = webAddress(action);
  if (!url) return action ? [element("span", { class: "badge", dir: "auto" }, action)] : [];
  return [element("a", { href: url.href, target: "_blank", rel: "noopener noreferrer" }, _("Open %(host)s", { host: url.host }))];
}

/**
 * Return the item of a notification.
 * @param {Notification & {read: boolean}} one
 * @param {{domain: string, icon?: string}} sender
 * @param {(button: HTMLElement | null) => void} read marks it as read; following its link does so as well
 * @param {(button: HTMLElement) => void} remove
 */
export function notificationItem(one, sender, read, remove) {
  const name = element("strong", { class: "name" }, sender.domain);
  const sign = one.read ? [] : [element("span", { class: "badge good" }, _("New"))];
  const links = actionLink(one);
  for (const link of links) if (link.tagName === "A") link.addEventListener("click", () => read(null));
  const subject = _("the notification of %(sender)s", { sender: sender.domain });
  const buttons = [
    ...(one.read ? [] : [itemButton(_("Mark as read"), subject, `read ${one.id}`, "quiet", read)]),
    itemButton(_("Delete"), subject, `delete ${one.id}`, "quiet", remove),
  ];
  const content = [
    element("p", { class: "row small" }, name, element("bdi", { class: "name" }, one.source), timeElement(one.sent), ...sign),
    element("p", { class: "name lines", dir: "auto" }, one.message),
    element("p", { class: "row small" }, ...links, ...buttons),
  ];
  const attributes = { class: "signed", id: one.id, tabindex: "-1", "data-key": one.id };
  return element("li", attributes, applicationSign({ appid: one.appid, ...sender }), element("div", {}, ...content));
}

/**
 * Return the sender of a notification: the proven domain of the application, not the name that it gave itself.
 * @param {Notification} one
 * @param {Grant[] | null} grants
 */
export function senderOf({ domain, appid }, grants) {
  return domain || grants?.find((grant) => grant.appid === appid)?.domain || _("An application");
}

/**
 * Return the path of the icon of an application that the user has allowed; undefined without one.
 * @param {Notification} one
 * @param {Grant[] | null} grants
 */
export function iconOf({ appid }, grants) {
  return grants?.find((grant) => grant.appid === appid)?.icon;
}

/**
 * Return the title of a desktop notification. A long domain would be cut, so it begins with its registrable part.
 * @param {Notification} one
 * @param {Grant[] | null} grants
 */
export function desktopTitle(one, grants) {
  return `${one.site || senderOf(one, grants)}: ${isolate(one.source)}`;
}
