// A user's own account: their status, quiet hours, grants and inbox, by REST (docs/protocol.md, section 6).

import { Refused } from "./errors.js";
import { call } from "./rest.js";

/** @typedef {import("./account-types.js").AccountOptions} AccountOptions */
/** @typedef {import("./account-types.js").Grant} Grant */
/** @typedef {import("./account-types.js").GrantChange} GrantChange */
/** @typedef {import("./account-types.js").Hours} Hours */
/** @typedef {import("./account-types.js").InboxNotification} InboxNotification */
/** @typedef {import("./account-types.js").ListedGrant} ListedGrant */
/** @typedef {import("./account-types.js").QuietHours} QuietHours */
/** @typedef {import("./account-types.js").Status} Status */
/** @typedef {import("./account-types.js").UserInbox} UserInbox */
/** @typedef {import("./account-types.js").UserStatus} UserStatus */

const MISSING = 104;
const PAGE = 500;

/**
 * What a user sees and controls of their account. It keeps no connection.
 *
 * Every method rejects with `Refused` if the service refuses the call, `NotConnected` if it does not answer, `ProtocolError` if the answer is no
 * JSON and so not the service's, and with what `signIn` throws.
 */
export class Account {
  #url;
  #signIn;

  /** @param {AccountOptions} options */
  constructor({ url, signIn }) {
    this.#url = new URL(url).href.replace(/\/+$/, "");
    this.#signIn = signIn;
  }

  /**
   * Return the status of the person, and what it follows from.
   * @returns {Promise<UserStatus>}
   */
  status() {
    return this.#call("GET", "/status");
  }

  /**
   * Set a status of the whole person, above those of all devices.
   * @param {Status} status
   * @param {number | null} [until] when it ends by itself, milliseconds since the epoch; null: when it is ended
   * @returns {Promise<UserStatus>}
   */
  setOverride(status, until = null) {
    return this.#call("PUT", "/status", { status, until });
  }

  /** End the status of the whole person, if there is one; the devices count again. */
  async endOverride() {
    await this.#call("DELETE", "/status");
  }

  /**
   * Return the quiet hours for all applications.
   * @returns {Promise<QuietHours>}
   */
  hours() {
    return this.#call("GET", "/hours");
  }

  /**
   * Set the quiet hours: applications see the user as offline in them, and notifications wait.
   * @param {Hours} hours
   * @returns {Promise<QuietHours>}
   */
  setHours(hours) {
    return this.#call("PUT", "/hours", hours);
  }

  /** Remove the quiet hours for all applications, if there are any. */
  async removeHours() {
    await this.#call("DELETE", "/hours");
  }

  /**
   * Return the grants: what each application sees and why, and when it looked.
   * @returns {Promise<ListedGrant[]>}
   */
  async grants() {
    const { found } = await this.#pages("/grants", "grants");
    return found.map(({ last_looked: lastLooked, ...grant }) => ({ ...toGrant(grant), lastLooked }));
  }

  /**
   * Change what is given of a grant.
   * @param {string} appid
   * @param {GrantChange} changes
   * @returns {Promise<Grant>}
   */
  async changeGrant(appid, changes) {
    return toGrant(await this.#call("PATCH", `/grant/${encodeURIComponent(appid)}`, changes));
  }

  /**
   * Return the inbox.
   * @returns {Promise<UserInbox>}
   */
  async notifications() {
    const { found, last } = await this.#pages("/notifications", "notifications");
    return { notifications: found, unread: last.unread };
  }

  /**
   * Mark notifications as read on all devices; return the number of unread ones. Ids that are not in the inbox are no error.
   * @param {...string} ids
   * @returns {Promise<number>}
   */
  async markRead(...ids) {
    return (await this.#call("POST", "/notifications/read", { notifications: ids })).unread;
  }

  /**
   * Mark a notification and all older ones as read; return the number of unread ones.
   * @param {string} id
   * @returns {Promise<number>}
   */
  async markReadUntil(id) {
    return (await this.#call("POST", "/notifications/read", { until: id })).unread;
  }

  /**
   * Delete a notification from the inbox; it may still wait for a device. Errno 110: it is not in the inbox.
   * @param {string} id
   */
  async deleteNotification(id) {
    await this.#call("DELETE", `/notifications/${encodeURIComponent(id)}`);
  }

  /** Delete all notifications from the inbox. */
  async clearNotifications() {
    await this.#call("DELETE", "/notifications");
  }

  /** @param {string} method @param {string} path @param {unknown} [body] */
  async #call(method, path, body) {
    const assertion = await this.#signIn();
    if (assertion === null) throw new Refused({ errno: MISSING, error: "signIn says that nobody is signed in" });
    return call(this.#url, method, path, `${assertion.includes("~") ? "BrowserID" : "Bearer"} ${assertion}`, body);
  }

  /** @param {string} path @param {string} name of the list @returns {Promise<{found: any[], last: any}>} */
  async #pages(path, name) {
    const found = [];
    for (let after = ""; ; ) {
      const last = await this.#call("GET", `${path}?limit=${PAGE}${after}`);
      found.push(...last[name]);
      if (last.next === undefined) return { found, last };
      after = `&after=${encodeURIComponent(last.next)}`;
    }
  }
}

/** @param {any} answer @returns {any} */
function toGrant({ granted_at: grantedAt, ...grant }) {
  return { ...grant, grantedAt };
}
