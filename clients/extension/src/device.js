// The device of this browser: its channel, and what arrives there.

import { iconOf } from "./icons.js";
import { inWords, unreadIds, withNotification, withRead } from "./inbox.js";
import { describeBrowser } from "./lib/device-description.js";
import { PresenceChannel } from "./lib/presence.js";
import { channelOf } from "./service.js";
import { deviceStatus } from "./status.js";
import { NOBODY, show, store, stored } from "./storage.js";
import { text } from "./texts.js";

/** @typedef {import("./storage.js").Account} Account */
/** @typedef {import("./lib/presence-types.js").Notification} Notification */
/** @typedef {import("./lib/presence-types.js").State} State */
/** @typedef {import("./lib/presence-types.js").Status} Status */

const SIGNED_OUT = 4009;
const INVALID = 34;

/** One channel at most. Changes of the inbox are made one after the other. */
export class Device {
  /** @type {PresenceChannel | null} */
  #channel = null;
  /** @type {Status} */
  #chosen = "online";
  #away = false;
  #retried = false;
  #changes = Promise.resolve();

  /** True while there is a channel that is open, or that opens by itself. */
  get isActive() {
    return this.#channel !== null && this.#channel.state.state !== "stopped";
  }

  /** Connect as a device of an account. @param {Account} account @param {Status} chosen */
  open({ service, email, device, credential }, chosen) {
    this.close();
    this.#chosen = chosen;
    this.#retried = false;
    const signIn = async () => credential;
    const options = { url: channelOf(service), email, device, signIn, inbox: true, clears: true, status: this.status, ...describeBrowser() };
    const channel = (this.#channel = new PresenceChannel(options));
    channel.addEventListener("state", ({ detail }) => this.#channel === channel && this.#stateChanged(detail));
    channel.addEventListener("unread", ({ detail }) => this.#channel === channel && this.#unreadChanged(detail));
    channel.addEventListener("cleared", ({ detail }) => this.#channel === channel && this.#cleared(detail));
    channel.addEventListener("notification", (event) => {
      event.preventDefault();
      this.#change(() => this.#received(channel, service, event.detail)).catch(() => channel.failed(event.detail.id));
    });
    channel.start();
  }

  /** Disconnect. */
  close() {
    const channel = this.#channel;
    this.#channel = null;
    channel?.stop();
  }

  /** Disconnect for good: nobody waits for this device to come back. */
  leave() {
    this.#channel?.setStatus("offline");
    this.close();
  }

  /** Connect again after the service has refused this device. */
  restart() {
    if (this.isActive) this.#channel?.check();
    else this.#channel?.start();
  }

  /** The status of this device, as the service is told. */
  get status() {
    return deviceStatus(this.#chosen, this.#away);
  }

  /** @param {Status} chosen */
  choose(chosen) {
    this.#chosen = chosen;
    this.#sendStatus();
  }

  /** @param {boolean} away */
  setAway(away) {
    this.#away = away;
    this.#sendStatus();
  }

  #sendStatus() {
    this.#channel?.setStatus(this.status);
    show({ status: this.status });
  }

  /** Set a status for all devices of the person; null ends it. @param {Status | null} status @param {number} [until] */
  override(status, until) {
    this.#channel?.setOverride(status, until);
  }

  /** Tell a sender that follows a notification what became of it. @param {"shown" | "opened"} outcome @param {string} id */
  report(outcome, id) {
    if (id.startsWith("o_")) this.#channel?.report(outcome, id); // others are not followed
  }

  /** Mark notifications as read, here and on all devices. @param {string[]} ids */
  read(ids) {
    if (ids.length) this.#channel?.markRead(...ids);
    return this.#change(async () => store({ inbox: withRead((await stored()).inbox, ids) }));
  }

  /** @param {() => Promise<void>} change */
  #change(change) {
    const done = this.#changes.then(change);
    this.#changes = done.catch(() => {});
    return done;
  }

  /** Store a notification, then show and acknowledge it. @param {PresenceChannel} channel @param {string} service @param {Notification} notification */
  async #received(channel, service, notification) {
    const { inbox, settings } = await stored();
    const next = withNotification(inbox, notification, Date.now());
    if (next !== inbox) await store({ inbox: next });
    channel.acknowledge(notification.id);
    if (next === inbox || !settings.notify) return;
    const iconUrl = await iconOf(service, notification.appid);
    const options = { type: /** @type {const} */ ("basic"), iconUrl, ...inWords(notification) };
    const created = chrome.notifications.create(notification.id, options);
    await created.then((id) => this.report("shown", id)).catch(() => {}); // the system shows none; the inbox has it
  }

  /** Close notifications that were read on another device, deleted or cancelled, and list them as read. @param {string[]} ids */
  async #cleared(ids) {
    await this.#change(async () => store({ inbox: withRead((await stored()).inbox, ids) }));
    for (const id of ids) chrome.notifications.clear(id);
  }

  /** @param {number} unread number in the whole inbox */
  async #unreadChanged(unread) {
    await show({ unread });
    if (unread === 0) await this.#change(async () => store({ inbox: withRead((await stored()).inbox, unreadIds((await stored()).inbox)) }));
  }

  /** @param {State} state */
  async #stateChanged(state) {
    if (state.state === "connected") this.#retried = false;
    if (state.state === "stopped" && state.errno === INVALID) {
      await store(NOBODY);
      return show({ state, unread: 0, problem: text("signedOut") });
    }
    await show({ state, status: this.status });
    if (state.state !== "stopped" || state.code !== SIGNED_OUT || state.errno || this.#retried) return;
    this.#retried = true; // the next sign-in shows whether the credential has ended
    this.#channel?.start();
  }
}
