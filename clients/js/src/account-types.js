// Values of a user's account, for editors and `tsc` (docs/protocol.md, section 6). A time is in milliseconds since the epoch.

/** @typedef {import("./device/presence-types.js").Notification} Notification */
/** @typedef {import("./device/presence-types.js").Status} Status */
/**
 * The status of a whole person.
 * @typedef {object} UserStatus
 * @property {Status} status `offline` without a live device, otherwise the override or, without one, `merged`
 * @property {Status} merged the merged status of the live devices
 * @property {Status | null} override the status above those of all devices
 * @property {number | null} until when the override ends by itself
 */
/** @typedef {"mon" | "tue" | "wed" | "thu" | "fri" | "sat" | "sun"} Day */
/**
 * Weekly hours in a time zone. An interval begins on each of its `days` and ends on the next day if `to` is not later than `from`.
 * @typedef {object} Hours
 * @property {string} zone a name of the IANA time zone database, such as `Europe/Berlin`
 * @property {{days: Day[], from: string, to: string}[]} weekly 1 to 28 intervals, in local time, such as `22:00`
 */
/**
 * The hours in which a user looks offline to all applications; `quiet`: they hold now.
 * @typedef {{hours: Hours | null, quiet: boolean}} QuietHours
 */
/**
 * What a user may change of a grant. Values that are left out stay.
 * @typedef {object} GrantChange
 * @property {boolean} [paused] the user looks offline to the application
 * @property {"status" | "reachable"} [shows] `reachable`: the application sees `unavailable` as `offline`
 * @property {number | null} [until] when it ends by itself; null: when the user ends it
 * @property {Hours | null} [hours] its own quiet hours
 * @property {boolean} [push] its notifications are pushed to the user's browsers while the user has no device
 */
/**
 * A user's permission for one application. `quiet`: only quiet hours hide the user now.
 * @typedef {Required<GrantChange> & {appid: string, puid: string, grantedAt: number, quiet: boolean}} Grant
 */
/**
 * Number of times that an application looked at the user's status on one day (UTC, `YYYY-MM-DD`).
 * @typedef {{day: string, channel: number, rest: number, webhook: number}} Looks
 */
/**
 * One link of the chain from the user's devices to what an application sees, and the status after it.
 * @typedef {{link: "devices" | "override" | "pause" | "hours" | "shows" | "sent", status: Status}} Link
 */
/**
 * A grant with its application.
 * @typedef {object} GrantDetails
 * @property {string} name of the application
 * @property {string} domain of the application
 * @property {string | null} lastLooked day on which the application used a key or looked last
 * @property {Looks[]} looks the days of the last 30 on which it looked, newest first
 * @property {Status | null} sees the status that it sees now; null while a backend of the service is unavailable
 * @property {Link[]} why the chain that leads to `sees`, which is its last status
 */
/** @typedef {Grant & GrantDetails} ListedGrant */
/** @typedef {Notification & {read: boolean}} InboxNotification */
/**
 * The notifications, newest first, and the number of unread ones.
 * @typedef {{notifications: InboxNotification[], unread: number}} UserInbox
 */
/**
 * @typedef {object} AccountOptions
 * @property {string} url base URL of the service, such as `https://presence.example.org`
 * @property {() => Promise<string | null>} signIn returns an assertion, or null when nobody is signed in; it is called before each call.
 *   A ticket or the credential of a paired device is no assertion
 */

export {};
