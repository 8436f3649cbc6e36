// All tabs of a browser are one device. A device name belongs to one connection (docs/protocol.md, section 3), so two tabs of one
// name would throw each other out; and with a name for each, the status chosen in one would be outvoted by the others. Hence one
// tab, whoever has the lock, holds the channel, and the others hear and speak through it. When it is closed, the next one goes on.

import { Kept } from "./kept.js";
import { PresenceChannel } from "./presence.js";

const MOST_KEPT = 50;
const ANSWER_SECONDS = 3;

/** Return the name of this browser's device, the same until the person signs out: what it is and a random end. */
function deviceName(kept) {
  const kind = /(Firefox|Edg|OPR|Chrome|Safari)\//.exec(navigator.userAgent)?.[1].toLowerCase() ?? "browser";
  const before = kept.get("device") ?? "";
  const name = /^[A-Za-z0-9._:-]{1,64}$/.test(before) ? before : `${kind}-${crypto.randomUUID().slice(0, 6)}`;
  kept.set("device", name);
  return name;
}

/**
 * This browser's device, in every tab.
 *
 * Events: `change`, when `state` or `status` did, and `notifications`, when `notifications` did (detail: the new one, if any).
 */
export class SharedDevice extends EventTarget {
  /** @type {import("./presence.js").State} */
  state = { state: "connecting" };
  /** @type {string} the name of the device */
  name;
  /** @type {import("./presence.js").Status} */
  status;
  /** @type {import("./presence.js").Notification[]} the newest first */
  notifications = [];
  /** @type {PresenceChannel | null} in the tab that holds it */
  #channel = null;
  #options;
  #kept;
  #others;
  /** @type {AbortController} of this tab's place in the queue for the lock */
  #place;
  #patience = 0;
  #answered = false;

  /**
   * @param {string} email
   * @param {() => Promise<string | null>} signIn
   */
  constructor(email, signIn) {
    super();
    this.#kept = new Kept(email);
    this.name = deviceName(this.#kept);
    this.status = ["unavailable", "offline"].find((one) => one === this.#kept.get("status")) ?? "online";
    const tickets = { get: () => this.#kept.get("ticket"), set: (ticket) => this.#kept.set("ticket", ticket) };
    this.#options = { email, signIn, device: this.name, tickets };
    this.#others = new BroadcastChannel(`dpresence ${email}`);
    this.#others.onmessage = ({ data: [what, value] }) => this.#listen(what, value);
    this.#queue();
    this.#ask();
    document.addEventListener("visibilitychange", () => document.hidden || this.#ask());
  }

  /** Whether this tab holds the channel. */
  get holds() {
    return this.#channel !== null;
  }

  /** @param {import("./presence.js").Status} status */
  setStatus(status) {
    this.#kept.set("status", status);
    this.#both("status", status);
  }

  /** Connect, here: after the channel was stopped, in whatever tab. */
  start() {
    if (this.#channel) return this.#channel.start();
    this.#place.abort();
    this.state = { state: "connecting" };
    this.#queue({ steal: true });
  }

  /** Forget the notifications shown so far. */
  clear() {
    this.#both("clear");
  }

  // -- the lock

  #queue(how) {
    this.#place = new AbortController();
    const { signal } = this.#place;
    navigator.locks.request(this.#others.name, how ?? { signal }, () => this.#hold()).catch(({ name }) => {
      if (name === "SecurityError") this.#hold(); // a browser without storage has no locks either: each tab is on its own
      else if (!signal.aborted) this.#lost();
    });
  }

  /** Be the tab that holds the channel, until it is closed or another tab takes it. What was stopped stays so. */
  #hold() {
    const [before, channel] = [this.#channel, new PresenceChannel({ ...this.#options, status: this.status })];
    this.#channel = channel;
    before?.stop();
    channel.addEventListener("state", ({ detail }) => this.#channel === channel && this.#both("state", detail));
    channel.addEventListener("notification", ({ detail }) => this.#both("notification", detail));
    if (this.state.state !== "stopped") channel.start();
    return new Promise(() => {});
  }

  #lost() {
    const before = this.#channel;
    this.#channel = null;
    before?.stop();
    this.#queue();
  }

  /** Ask who holds the channel. Nobody answers when a phone has put that tab to sleep, lock and all: then take it. */
  #ask() {
    if (this.#channel) return;
    this.#tell("hello");
    clearTimeout(this.#patience);
    this.#patience = setTimeout(() => this.#channel ?? this.start(), ANSWER_SECONDS * 1000);
  }

  // -- what tabs say to each other

  #tell(what, value) {
    this.#others.postMessage([what, value]);
  }

  /** Hear another tab. One that slept while it was overtaken may think that it still holds the channel: who does knows better. */
  #listen(what, value) {
    const overtaken = this.#channel && (what === "state" || what === "welcome");
    if (!overtaken) this.#heard[what](value);
    else if (what === "state" && value.state === "stopped" && this.state.state !== "stopped") this.#tell("state", this.state);
  }

  #both(what, value) {
    this.#heard[what](value);
    this.#tell(what, value);
  }

  #heard = {
    hello: () => {
      if (!this.#channel) return;
      this.#tell("welcome", [this.state, this.status, this.notifications]);
      this.#channel.check(); // somebody looks at that tab; this one may have slept
    },
    welcome: ([state, status, notifications]) => {
      Object.assign(this, { status, notifications });
      this.dispatchEvent(new CustomEvent("notifications", { detail: null }));
      const late = !this.#answered && state.state === "stopped"; // it may be signed in again since then: this tab was opened later
      this.#heard.state(state);
      if (late) this.start();
    },
    state: (state) => {
      clearTimeout(this.#patience);
      this.#answered = true;
      this.state = state;
      this.#changed();
    },
    status: (status) => {
      this.status = status;
      this.#channel?.setStatus(status);
      this.#changed();
    },
    notification: (one) => {
      if (this.notifications.some(({ id }) => id === one.id)) return; // the tab before had no time to acknowledge it
      this.notifications = [one, ...this.notifications].slice(0, MOST_KEPT);
      this.dispatchEvent(new CustomEvent("notifications", { detail: one }));
    },
    clear: () => {
      this.notifications = [];
      this.dispatchEvent(new CustomEvent("notifications", { detail: null }));
    },
  };

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}
