// All tabs of a browser are one device. Two connections under one device name would replace each other (docs/protocol.md, section 3),
// and with a name per tab, the status set in one tab would be overridden by the other tabs. So one tab, the one that holds a lock, has
// the channel, and the others exchange messages with it. When it is closed, the next tab gets the lock.

import { AccountStorage } from "./account-storage.js";
import { describeBrowser } from "./device-description.js";
import { PresenceChannel, watchActivity } from "./presence.js";

/** @typedef {import("./presence-types.js").Status} Status */
/** @typedef {import("./presence-types.js").State} State */
/** @typedef {import("./presence-types.js").Notification} Notification */
/** @typedef {"hello" | "welcome" | "state" | "status" | "notification" | "unread" | "cleared" | "input" | "away" | "minutes" | "report"} Message between tabs */

const MAX_KNOWN = 500; // ids of notifications: as many as a channel has unacknowledged
const ANSWER_SECONDS = 3;
const MAX_AWAY_MINUTES = 1440;

/**
 * Return the name of this browser's device: the kind of browser and a random suffix. It stays the same until the user signs out.
 * @param {AccountStorage} storage
 * @returns {string}
 */
function deviceName(storage) {
  const kind = /(Firefox|Edg|OPR|Chrome|Safari)\//.exec(navigator.userAgent)?.[1].toLowerCase() ?? "browser";
  const stored = storage.get("device") ?? "";
  const name = /^[A-Za-z0-9._:-]{1,64}$/.test(stored) ? stored : `${kind}-${crypto.randomUUID().slice(0, 6)}`;
  storage.set("device", name);
  return name;
}

/**
 * @param {AccountStorage} storage
 * @returns {Status}
 */
function storedStatus(storage) {
  const stored = storage.get("status");
  return stored === "unavailable" || stored === "offline" ? stored : "online";
}

/**
 * Return the minutes without input after which the user is away; 0 if they have not chosen any.
 * @param {AccountStorage} storage
 */
function storedMinutes(storage) {
  const minutes = Number(storage.get("away"));
  return minutes >= 1 && minutes <= MAX_AWAY_MINUTES ? minutes : 0;
}

/**
 * This browser's device, in every tab.
 *
 * Events: `change`, when `state`, `status`, `effective` or `awayMinutes` has changed; `notification` (detail: the new one), which is dispatched once; `unread`
 * (detail: the number of unread notifications), when the inbox may have changed; and `cleared` (detail: ids of notifications that need not be shown any more).
 */
export class SharedDevice extends EventTarget {
  /** @type {State} */
  state = { state: "connecting" };
  /** @type {string} name of the device */
  name;
  /** @type {Status} */
  status;
  /** Minutes without input in any tab after which `online` is sent as `unavailable`; 0 for never. */
  awayMinutes = 0;
  #away = false; // what the tab with the channel says
  #absent = false; // what this tab has seen
  #endWatch = () => {};
  /** @type {string[]} ids of notifications that have arrived, newest first */
  #known = [];
  /** @type {PresenceChannel | null} null in tabs without the lock */
  #channel = null;
  #options;
  #storage;
  #tabs;
  #lockRequest = new AbortController();
  /** @type {number | undefined} timer of an answer of the tab with the channel */
  #answerTimer;
  #answered = false;
  #statusSet = false; // since this tab asked: the tab with the channel may have answered before it was told

  /**
   * @param {string} email
   * @param {() => Promise<string | null>} signIn
   */
  constructor(email, signIn) {
    super();
    const storage = new AccountStorage(email);
    this.#storage = storage;
    this.name = deviceName(storage);
    this.status = storedStatus(storage);
    /** @type {import("./presence-types.js").Tickets} */
    const tickets = { get: () => storage.get("ticket"), set: (ticket) => storage.set("ticket", ticket) };
    this.#options = { email, signIn, device: this.name, tickets };
    this.#tabs = new BroadcastChannel(`dpresence ${email}`);
    this.#tabs.onmessage = ({ data: [message, value] }) => this.#receive(message, value);
    this.#requestLock();
    this.#findChannel();
    document.addEventListener("visibilitychange", () => document.hidden || this.#findChannel());
    this.#watch(storedMinutes(storage));
    if (this.awayMinutes && !document.hidden) this.#send("input");
  }

  /** The status that the service is told: `unavailable` for `online` while the user is away. @returns {Status} */
  get effective() {
    return this.#away && this.status === "online" ? "unavailable" : this.status;
  }

  /** Choose after how many minutes without input the user is away. @param {number} minutes 0 for never */
  setAwayMinutes(minutes) {
    this.#storage.set("away", minutes ? String(minutes) : null);
    this.#sendAndHandle("minutes", minutes);
  }

  /** Watch for input in this tab. Each tab does, and tells the others, so that the next tab with the channel knows it. @param {number} minutes */
  #watch(minutes) {
    this.#endWatch();
    this.awayMinutes = minutes;
    this.#absentChanged(false);
    if (!minutes) return void (this.#endWatch = () => {});
    /** @type {{onInput: (() => void) | null, report: () => void}} */
    const tabs = { onInput: null, report: () => this.#send("input") };
    const end = watchActivity(minutes * 60, (away) => this.#absentChanged(away), tabs);
    this.#onInput = () => tabs.onInput?.();
    this.#endWatch = end;
  }

  #onInput = () => {};

  /** @param {boolean} absent */
  #absentChanged(absent) {
    this.#absent = absent;
    if (this.#channel && this.#away !== absent) this.#sendAndHandle("away", absent);
  }

  /** True if this tab has the channel. */
  get hasChannel() {
    return this.#channel !== null;
  }

  /** @param {Status} status */
  setStatus(status) {
    this.#storage.set("status", status);
    this.#sendAndHandle("status", status);
  }

  /** Tell a sender that follows a notification what became of it. @param {"shown" | "opened"} outcome @param {string} id of the notification */
  report(outcome, id) {
    if (id.startsWith("o_")) this.#sendAndHandle("report", [outcome, id]); // others are not followed
  }

  /** Connect in this tab, after the channel of any tab was stopped. */
  start() {
    if (this.#channel) return this.#channel.start();
    this.#lockRequest.abort();
    this.state = { state: "connecting" };
    this.#requestLock(true);
  }

  /** Check now whether the connection is alive; during a wait, connect at once if the service permits it. */
  check() {
    if (this.#channel) this.#channel.check();
    else this.#findChannel();
  }

  // The lock

  #requestLock(steal = false) {
    this.#lockRequest = new AbortController();
    const { signal } = this.#lockRequest;
    navigator.locks.request(this.#tabs.name, steal ? { steal } : { signal }, () => this.#openChannel()).catch(({ name }) => {
      if (name === "SecurityError") this.#openChannel(); // a browser without storage has no locks: each tab has a channel of its own
      else if (!signal.aborted) this.#lostLock();
    });
  }

  /** Open a channel and keep the lock until the tab is closed or another tab takes the lock. A stopped channel stays stopped. */
  #openChannel() {
    const [previous, channel] = [this.#channel, new PresenceChannel({ ...this.#options, ...describeBrowser(), inbox: true, clears: true, status: this.status })];
    this.#channel = channel;
    previous?.stop();
    channel.setAway(this.#absent);
    if (this.#away !== this.#absent) this.#sendAndHandle("away", this.#absent);
    channel.addEventListener("state", (event) => {
      if (this.#channel === channel) this.#sendAndHandle("state", /** @type {CustomEvent<State>} */ (event).detail);
    });
    channel.addEventListener("notification", (event) => {
      this.#sendAndHandle("notification", /** @type {CustomEvent<Notification>} */ (event).detail);
    });
    channel.addEventListener("unread", ({ detail }) => this.#sendAndHandle("unread", detail));
    channel.addEventListener("cleared", ({ detail }) => this.#sendAndHandle("cleared", detail));
    if (this.state.state !== "stopped") channel.start();
    return new Promise(() => {});
  }

  #lostLock() {
    const previous = this.#channel;
    this.#channel = null;
    previous?.stop();
    this.#requestLock();
  }

  /** Ask which tab has the channel. If that tab sleeps on a phone, it keeps the lock and does not answer: then take the lock. */
  #findChannel() {
    if (this.#channel) return;
    this.#statusSet = false;
    this.#send("hello");
    clearTimeout(this.#answerTimer);
    this.#answerTimer = setTimeout(() => this.#channel ?? this.start(), ANSWER_SECONDS * 1000);
  }

  // Messages between tabs

  /**
   * @param {Message} message
   * @param {any} [value]
   */
  #send(message, value) {
    this.#tabs.postMessage([message, value]);
  }

  /**
   * Handle a message of another tab. If both tabs have a channel, the other one slept while this one took the lock: its state is outdated.
   * @param {Message} message
   * @param {any} value
   */
  #receive(message, value) {
    const outdated = this.#channel && (message === "state" || message === "welcome");
    if (!outdated) this.#handlers[message](value);
    else if (message === "state" && value.state === "stopped" && this.state.state !== "stopped") this.#send("state", this.state);
  }

  /**
   * Apply a change in this tab and in all others.
   * @param {Message} message
   * @param {any} [value]
   */
  #sendAndHandle(message, value) {
    this.#handlers[message](value);
    this.#send(message, value);
  }

  /** @type {Record<Message, (value: any) => void>} */
  #handlers = {
    hello: () => {
      if (!this.#channel) return;
      this.#send("welcome", [this.state, this.status, this.#known, this.#away]);
      this.#channel.check(); // the other tab is visible; this one may have been asleep
    },
    /** @param {[State, Status, string[], boolean]} value */
    welcome: ([state, status, known, away]) => {
      if (!this.#statusSet) this.status = status;
      [this.#known, this.#away] = [known, away];
      const outdated = !this.#answered && state.state === "stopped"; // this tab was opened later: the user may have signed in again
      this.#handlers.state(state);
      if (outdated) this.start();
    },
    /** @param {State} state */
    state: (state) => {
      clearTimeout(this.#answerTimer);
      this.#answered = true;
      this.state = state;
      this.dispatchEvent(new Event("change"));
    },
    /** @param {Status} status */
    status: (status) => {
      [this.status, this.#statusSet] = [status, true];
      this.#channel?.setStatus(status);
      this.dispatchEvent(new Event("change"));
    },
    /** @param {Notification} one */
    notification: (one) => {
      if (this.#known.includes(one.id)) return; // the previous tab had no time to acknowledge it
      this.#known = [one.id, ...this.#known].slice(0, MAX_KNOWN);
      this.dispatchEvent(new CustomEvent("notification", { detail: one }));
    },
    input: () => this.#onInput(),
    /** @param {boolean} away */
    away: (away) => {
      this.#away = away;
      this.#channel?.setAway(this.#absent);
      this.dispatchEvent(new Event("change"));
    },
    /** @param {number} minutes */
    minutes: (minutes) => {
      this.#watch(minutes);
      this.dispatchEvent(new Event("change"));
    },
    /** @param {["shown" | "opened", string]} value */
    report: (value) => this.#channel?.report(...value),
    /** @param {number} count */
    unread: (count) => {
      this.dispatchEvent(new CustomEvent("unread", { detail: count }));
    },
    /** @param {string[]} ids */
    cleared: (ids) => {
      this.dispatchEvent(new CustomEvent("cleared", { detail: ids }));
    },
  };
}
