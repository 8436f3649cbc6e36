// A part of presence.js: its types, for editors and TypeScript. No script loads this file.

/** @typedef {"ack" | "read" | "shown" | "opened"} Receipt what a device reports of notifications */
/** @typedef {"online" | "unavailable" | "offline"} Status */

/**
 * A notification, as an application sent it.
 * @typedef {object} Notification
 * @property {string} id
 * @property {string} appid id of the application
 * @property {string} domain the application's domain, which is proven
 * @property {string} site the registrable part of the domain, to show where a long domain would be cut
 * @property {string} source the application's name for the sender
 * @property {string} message
 * @property {string} action a URL on the application's domain, a word, or ""
 * @property {number} sent milliseconds since the epoch
 */

/**
 * The state of the channel. `waiting` is repeated once a second, with the whole seconds left. `errno` is that of a refusal.
 * @typedef {{state: "connecting"} | {state: "connected"} | {state: "waiting", seconds: number, reason: string, errno?: number}
 *   | {state: "stopped", code: number, reason: string, errno?: number}} State
 */

/**
 * Store of a ticket. With one that outlives the page, the service can detect that somebody copied the ticket (docs/clients.md).
 * @typedef {{get: () => string | null, set: (ticket: string | null) => void}} Tickets
 */

/**
 * @typedef {object} Options
 * @property {string} email e-mail address of the device's user
 * @property {() => Promise<string | null>} signIn returns an assertion or a ticket each time one is needed; null if the user is
 *   signed out; throws if it cannot find out. The client waits for at least the seconds in the error's `retryAfter`.
 * @property {string} [device] name of the device: 1 to 64 of A-Z a-z 0-9 . _ : -
 * @property {Status} [status] first status; online by default
 * @property {string} [label] what the user sees of this device, such as "Kitchen lamp"
 * @property {"browser" | "phone" | "program" | "terminal" | "other"} [kind] what kind of device it is
 * @property {boolean} [inbox] have the channel dispatch `unread` events
 * @property {boolean} [clears] have the channel dispatch `cleared` events
 * @property {Tickets} [tickets] store for the ticket of the next connection; by default in this object
 * @property {string} [url] URL of the channel; by default that of the service that served this file
 */

/**
 * A frame of the service (docs/protocol.md, section 3).
 * @typedef {object} Frame
 * @property {string} [id] of the frame that this one answers
 * @property {"OK" | "KO"} [result]
 * @property {number} [errno]
 * @property {string} [error]
 * @property {number} [retry_after] seconds
 * @property {string} [ticket] for the next connection
 * @property {Notification[]} [notifications]
 * @property {number} [unread] number of unread notifications
 * @property {string[]} [cleared] ids of notifications that need not be shown any more
 */

export {};
