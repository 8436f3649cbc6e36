// A part of presence.js: its types, for editors and TypeScript. It is loaded by nobody.

/** @typedef {"online" | "unavailable" | "offline"} Status */

/**
 * A notification, as an application sent it.
 * @typedef {object} Notification
 * @property {string} id
 * @property {string} appid which application
 * @property {string} domain the application's, which is proven
 * @property {string} site the part of it that somebody has registered: for where a long domain is cut
 * @property {string} source what it calls the sender
 * @property {string} message
 * @property {string} action a URL on the application's domain, a word, or ""
 * @property {number} sent milliseconds since the epoch
 */

/**
 * The state of the channel. `waiting` comes once a second, with the whole seconds left. `errno` stands for an answer of the service.
 * @typedef {{state: "connecting"} | {state: "connected"} | {state: "waiting", seconds: number, reason: string, errno?: number}
 *   | {state: "stopped", code: number, reason: string, errno?: number}} State
 */

/**
 * Where a ticket is kept. One that outlives the page lets a copy be noticed that somebody made of it (docs/clients.md).
 * @typedef {{get: () => string | null, set: (ticket: string | null) => void}} Tickets
 */

/**
 * @typedef {object} Options
 * @property {string} email whose device this is
 * @property {() => Promise<string | null>} signIn gives an assertion or a ticket each time one is needed; null when the person is
 *   signed out; throws when it could not find out. An error's `retryAfter` (seconds) is obeyed.
 * @property {string} [device] its name: 1 to 64 of A-Z a-z 0-9 . _ : -
 * @property {Status} [status] to begin with; online when left out
 * @property {Tickets} [tickets] where the ticket for the next connection is kept; in this object when left out
 * @property {string} [url] the channel; that of the service this file came from when left out
 */

export {};
