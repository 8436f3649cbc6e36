// Types of an application's client, for programs.

/** @typedef {import("./errors.js").PresenceError} PresenceError */
/** @typedef {import("./table.js").Change} Change */
/** @typedef {import("./table.js").Stored} Stored */
/** @typedef {import("./app-frames.js").Outcome} Outcome */
/**
 * Keeps the table and its cursor together, from one run of the program to the next.
 * @typedef {object} Store
 * @property {() => Promise<Stored | null>} load
 * @property {(stored: Stored) => Promise<void>} save
 */
/**
 * @typedef {object} AppServiceOptions
 * @property {string} url base URL of the service, such as `https://presence.example.org`
 * @property {string} appid
 * @property {string} key API key
 * @property {Store} [store] without one, each run begins with a snapshot
 * @property {number} [answerSeconds] longest wait of `notify` for a connection and the answer; 30 when omitted, Infinity for no limit
 * @property {boolean} [outcomes] dispatch `outcome` events; the store keeps their cursor as well
 * @property {typeof WebSocket} [WebSocket] for Node 20, which has none unless it runs with `--experimental-websocket`
 */
/**
 * @typedef {object} NotificationOptions
 * @property {string} [action] "", a word, or a URL on the application's domain
 * @property {string} [source] a name; the application's own when omitted
 * @property {number} [ttl] seconds that it may wait, 0 to 2592000; a day when omitted
 * @property {string} [topic] it replaces the one of this topic that waits for the user: 1 to 32 of `A-Z a-z 0-9 _ -`
 * @property {string} [idempotency] a key: sent again to the user with it within a day, it is the same notification
 * @property {"very-low" | "low" | "normal" | "high"} [urgency] `very-low` and `low` are not pushed
 * @property {boolean} [outcome] the service records what becomes of it, for `outcome` events
 */
/** @typedef {{puid: string, message?: string} & NotificationOptions} OutgoingNotification */
/**
 * `waiting`: the client tries again at `retryAt` (milliseconds since the epoch). `stopped` without an error: by the program.
 * @typedef {{state: "connecting"} | {state: "connected"} | {state: "waiting", reason: string, retryAt: number}
 *   | {state: "stopped", error: PresenceError | null}} AppState
 */
/** @typedef {{change: CustomEvent<Change>, outcome: CustomEvent<Outcome>, current: Event, state: CustomEvent<AppState>}} AppServiceEvents */

export {};
