// Web Push: the button that turns it on for this browser, and the list of the user's browsers in which it is on.

import { describeBrowser } from "./device-description.js";
import { byId, element } from "./dom.js";
import { announce, attempt, call, confirmAction, othersEnded } from "./page.js";
import { _, parts } from "./texts.js";
import { timeElement } from "./times.js";
import { registration } from "./web-app.js";

const SETTING = "push";
const STORED = "push-stored"; // until when, in milliseconds, the service has said to keep the subscription, and its endpoint
const NOT_FOUND = 110;
const ID = /^[no]_[\w-]{1,62}$/;

/** @typedef {{id: string, endpoint: string, label: string | null, created_at: number}} Subscription */
/** @typedef {{key: string | null, subscriptions: Subscription[]}} Answer */

/** @param {ArrayBuffer | null | undefined} bytes */
function base64url(bytes) {
  const text = String.fromCharCode(...new Uint8Array(bytes ?? new ArrayBuffer(0)));
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/**
 * Call `open` with the id of each notification that the user clicks outside of the page: the one that opened it, once, and later ones.
 * @param {(id: string) => void} open
 * @returns {boolean} whether a notification opened this page
 */
export function openedByPush(open) {
  if ("serviceWorker" in navigator) {
    navigator.serviceWorker.addEventListener("message", ({ data }) => {
      if (typeof data?.opened === "string") open(data.opened);
    });
  }
  const id = location.hash.slice(1);
  if (!ID.test(id)) return false;
  history.replaceState(null, "", location.pathname); // a reload does not open it again
  open(id);
  return true;
}

/** Close notifications that the service worker has shown and that need not be shown any more. @param {string[]} ids */
export async function closePushed(ids) {
  for (const shown of (await (await registration)?.getNotifications()) ?? []) if (ids.includes(shown.tag)) shown.close();
}

/** Web Push in this browser, and the user's other browsers. */
export class Push {
  /** @type {Answer} */
  #answer = { key: null, subscriptions: [] };
  /** @type {PushSubscription | null} */
  #own = null;
  #storage;
  #changed;
  #button = byId("push");

  /**
   * @param {import("./account-storage.js").AccountStorage} storage
   * @param {() => void} changed is called when `offered` may have changed
   */
  constructor(storage, changed) {
    this.#storage = storage;
    this.#changed = changed;
    this.#button.addEventListener("click", () => attempt(this.#button, () => (this.#isOn ? this.#turnOff() : this.#turnOn())));
  }

  /** True if the service pushes: a grant then shows whether it does for that application. */
  get offered() {
    return this.#answer.key !== null;
  }

  get #isOn() {
    return this.#own !== null && this.#storage.get(SETTING) === "yes";
  }

  /** Read the list; make this browser's subscription what the user has chosen here. */
  async start() {
    await othersEnded;
    try {
      this.#own = (await (await this.#manager())?.getSubscription()) ?? null;
      const stored = this.#storage.get(STORED) ?? ""; // before the list: another page may be storing the subscription
      await this.#read();
      await this.#settle(stored);
    } catch {
      // the page says that the service cannot be reached; the next visit stores the subscription
    }
    this.#show();
  }

  async #read() {
    this.#answer = await call("GET", "/push");
    this.#changed();
  }

  /** @returns {Promise<PushManager | null>} null where the browser has no Web Push */
  async #manager() {
    return "PushManager" in window && "Notification" in window ? (await registration)?.pushManager ?? null : null;
  }

  /**
   * True if the service has ended the subscription before its time, as by the list in another browser.
   * @param {string} stored the value of `STORED`
   */
  #wasEnded(stored) {
    const [until, endpoint] = stored.split(" ");
    const isKept = endpoint === this.#own?.endpoint && Date.now() < Number(until);
    return isKept && !this.#answer.subscriptions.some((one) => one.endpoint === endpoint);
  }

  /**
   * Store the subscription again; end one that is not wanted, and replace one that was made with another key.
   * @param {string} stored the value of `STORED` before the list was read
   */
  async #settle(stored) {
    const isOfKey = base64url(this.#own?.options.applicationServerKey) === this.#answer.key; // the service ends those of a key that it has given up
    if (isOfKey && this.#wasEnded(stored)) this.#storage.set(SETTING, null);
    const wanted = this.#storage.get(SETTING) === "yes" && this.offered && Notification.permission === "granted";
    if (this.#own && !(wanted && isOfKey)) await this.#unsubscribe();
    if (wanted) await this.#subscribe();
  }

  async #subscribe() {
    const key = this.#answer.key ?? "";
    this.#own ??= await (await this.#manager())?.subscribe({ userVisibleOnly: true, applicationServerKey: key }) ?? null;
    const { endpoint, keys } = this.#own?.toJSON() ?? {};
    const wanted = { endpoint, keys: { p256dh: keys?.p256dh, auth: keys?.auth }, key, label: describeBrowser().label };
    const stored = await call("PUT", "/push", wanted);
    this.#storage.set(STORED, `${stored.expires_at} ${endpoint}`);
    await this.#read();
  }

  async #unsubscribe() {
    await this.#own?.unsubscribe();
    this.#own = null;
  }

  async #turnOn() {
    if ((await Notification.requestPermission()) !== "granted") return announce(_("Your browser does not allow notifications of this site."), "alert");
    this.#storage.set(SETTING, "yes"); // before: another page of this browser ends a subscription that is not wanted
    await this.#subscribe().catch((error) => {
      this.#storage.set(SETTING, null);
      throw error;
    });
    announce(_("This browser notifies you while the page is closed. Choose below for which applications."));
    this.#show();
  }

  async #turnOff() {
    const mine = this.#answer.subscriptions.find(({ endpoint }) => endpoint === this.#own?.endpoint);
    this.#storage.set(SETTING, null);
    await this.#unsubscribe();
    this.#show(); // whatever the service answers: this browser shows no push any more
    if (mine) await this.#delete(mine);
    announce(_("This browser no longer notifies you while the page is closed."));
    this.#show();
  }

  /** Delete a subscription at the service, where it may have ended meanwhile, and read the list. @param {Subscription} one */
  async #delete(one) {
    await call("DELETE", `/push/${one.id}`).catch((error) => {
      if (error.errno !== NOT_FOUND) throw error;
    });
    await this.#read();
  }

  async #show() {
    const { key, subscriptions } = this.#answer;
    const manager = await this.#manager();
    this.#button.hidden = !key || !manager || Notification.permission === "denied";
    this.#button.textContent = this.#isOn ? _("Stop notifying this browser while the page is closed") : _("Notify this browser while the page is closed");
    byId("push-browsers").replaceChildren(...subscriptions.map((one) => this.#item(one)));
    byId("push-list").hidden = subscriptions.length === 0;
  }

  /** @param {Subscription} one */
  #item(one) {
    const label = one.label ?? _("A browser");
    const button = element("button", { type: "button", class: "quiet compact guarded", "aria-label": _("Stop notifying %(browser)s", { browser: label }) }, _("Stop"));
    button.addEventListener("click", async () => {
      const detail = _("It no longer notifies you while the page is closed. You can turn this on again only in that browser.");
      if (!(await confirmAction(_("Stop notifying %(browser)s?", { browser: label }), detail, _("Stop")))) return;
      await attempt(button, () => (one.endpoint === this.#own?.endpoint ? this.#turnOff() : this.#end(one)));
    });
    return element("li", { class: "row" },
      element("div", { class: "fill" }, element("bdi", { class: "name" }, label), " ", element("span", { class: "small" }, ...parts("since %(time)s", { time: timeElement(one.created_at) }))),
      button);
  }

  /** @param {Subscription} one */
  async #end(one) {
    await this.#delete(one);
    announce(_("That browser no longer notifies you while the page is closed."));
    this.#show();
  }
}
