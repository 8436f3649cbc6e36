// What the extension stores in this browser. `local` stays, `session` ends with the browser.

/**
 * @typedef {object} Account
 * @property {string} service address of the service
 * @property {string} email
 * @property {string} device name of the device
 * @property {string} credential
 */

/**
 * @typedef {object} Stored
 * @property {Account | null} account
 * @property {import("./lib/presence-types.js").Status} chosen the status that the person has chosen for this browser
 * @property {{notify: boolean, awayMinutes: number}} settings
 * @property {import("./inbox.js").Entry[]} inbox
 */

/**
 * @typedef {object} Shown
 * @property {import("./lib/presence-types.js").State} state
 * @property {import("./lib/presence-types.js").Status} status of this device
 * @property {number} unread number of unread notifications in the inbox at the service
 * @property {import("./pairing.js").Pairing & {service: string, device: string} | null} pairing
 * @property {string} problem why the last pairing failed or the account is gone
 */

/**
 * The part of it that belongs to a person, without one.
 * @type {Pick<Stored, "account" | "chosen" | "inbox">}
 */
export const NOBODY = { account: null, chosen: "online", inbox: [] };
/** @type {Stored} */
const STORED = { ...NOBODY, settings: { notify: true, awayMinutes: 0 } };
/** @type {Shown} */
const SHOWN = { state: { state: "stopped", code: 1000, reason: "" }, status: "offline", unread: 0, pairing: null, problem: "" };

/** @returns {Promise<Stored>} */
export async function stored() {
  return /** @type {any} */ (await chrome.storage.local.get(/** @type {any} */ (STORED)));
}

/** @param {Partial<Stored>} values */
export async function store(values) {
  await chrome.storage.local.set(values);
}

/** @returns {Promise<Shown>} */
export async function shown() {
  return /** @type {any} */ (await chrome.storage.session.get(/** @type {any} */ (SHOWN)));
}

/** @param {Partial<Shown>} values */
export async function show(values) {
  await chrome.storage.session.set(values);
}
