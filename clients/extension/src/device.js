// The device of this browser: its channel, and what arrives there.

import { iconOf } from "./icons.js";
import { inWords, recent, unreadIds, withNotification, withRead } from "./inbox.js";
import { describeBrowser } from "./lib/device-description.js";
import { PresenceChannel } from "./lib/presence.js";
import { channelOf } from "./service.js";
import { deviceStatus } from "./status.js";
import { NOBODY, show, store, stored } from "./storage.js";
import { text } from "./texts.js";

/** @typedef {import("./storage.js").Account} Account */
/** @typedef {import("./inbox.js").Entry} Entry */
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
    channel.addEventListener("state", ({ detail }) => this.#channel === channel && this.#stateChanged(channel, detail));
    channel.addEventListener("unread", ({ detail }) => this.#channel === channel && this.#unreadChanged(channel, detail));
    channel.addEventListener("cleared", ({ detail }) => this.#channel === channel && this.#cleared(channel, detail));
    channel.addEventListener("notification", (event) => {
      event.preventDefault();
      this.#change(channel, () => this.#received(channel, service, event.detail)).catch(() => channel.failed(event.detail.id));
    });
    channel.start();
  }

  /** Disconnect. Nothing waits for the changes that have begun, as they may wait for the service: they change nothing any more. */
  close() {
    const channel = this.#channel;
    this.#channel = null;
    this.#changes = Promise.resolve();
    channel?.stop();
  }

  /** Disconnect for good, and forget the person: nobody waits for this device to come back. */
  async leave() {
    this.#channel?.setStatus("offline");
    await this.#forget();
  }

  /** Disconnect, and remove what is stored and shown for the person, as another one may use the browser next. */
  #forget() {
    this.close();
    return this.#queue(async () => {
      await store(NOBODY);
      for (const id of Object.keys(await chrome.notifications.getAll())) chrome.notifications.clear(id);
    });
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
    const channel = this.#channel;
    if (ids.length) channel?.markRead(...ids);
    return this.#changeInbox(channel, (inbox) => withRead(inbox, ids));
  }

  /** Forget the notifications that are too old to be listed. */
  forgetOld() {
    return this.#changeInbox(this.#channel, (inbox) => recent(inbox, Date.now()));
  }

  /** Change the stored inbox. @param {PresenceChannel | null} channel @param {(inbox: Entry[]) => Entry[]} change */
  #changeInbox(channel, change) {
    return this.#change(channel, async () => {
      const { inbox } = await stored();
      const changed = change(inbox);
      if (this.#channel === channel && changed !== inbox) await store({ inbox: changed });
    });
  }

  /**
   * Make a change for the person whose channel this is, unless it was closed meanwhile. The change checks that again whenever it has waited.
   * @param {PresenceChannel | null} channel
   * @param {() => Promise<void>} change
   */
  #change(channel, change) {
    return this.#queue(async () => {
      if (this.#channel === channel) await change();
    });
  }

  /** @param {() => Promise<void>} change */
  #queue(change) {
    const done = this.#changes.then(change);
    this.#changes = done.catch(() => {});
    return done;
  }

  /** Store a notification, then show and acknowledge it. @param {PresenceChannel} channel @param {string} service @param {Notification} notification */
  async #received(channel, service, notification) {
    const { inbox, settings } = await stored();
    if (this.#channel !== channel) return;
    const next = withNotification(inbox, notification, Date.now());
    if (next !== inbox) await store({ inbox: next });
    channel.acknowledge(notification.id);
    if (next === inbox || !settings.notify) return;
    const iconUrl = await iconOf(service, notification.appid);
    if (this.#channel !== channel) return;
    const options = { type: /** @type {const} */ ("basic"), iconUrl, ...inWords(notification) };
    const created = chrome.notifications.create(notification.id, options);
    await created.then((id) => this.#shown(channel, id)).catch(() => {}); // the system shows none; the inbox has it
  }

  /** Report that the system shows a notification, or close it if the person has disconnected meanwhile. @param {PresenceChannel} channel @param {string} id */
  #shown(channel, id) {
    if (this.#channel === channel) this.report("shown", id);
    else chrome.notifications.clear(id);
  }

  /** Close notifications that were read on another device, deleted or cancelled, and list them as read. @param {PresenceChannel} channel @param {string[]} ids */
  async #cleared(channel, ids) {
    await this.#changeInbox(channel, (inbox) => withRead(inbox, ids));
    for (const id of ids) chrome.notifications.clear(id);
  }

  /** @param {PresenceChannel} channel @param {number} unread number in the whole inbox */
  async #unreadChanged(channel, unread) {
    await show({ unread });
    if (unread === 0) await this.#changeInbox(channel, (inbox) => withRead(inbox, unreadIds(inbox)));
  }

  /** @param {PresenceChannel} channel @param {State} state */
  async #stateChanged(channel, state) {
    if (state.state === "connected") this.#retried = false;
    if (state.state === "stopped" && state.errno === INVALID) {
      await this.#forget();
      return show({ state, unread: 0, problem: text("signedOut") });
    }
    await show({ state, status: this.status });
    if (state.state !== "stopped" || state.code !== SIGNED_OUT || state.errno || this.#retried || this.#channel !== channel) return;
    this.#retried = true; // the next sign-in shows whether the credential has ended
    channel.start();
  }
}
