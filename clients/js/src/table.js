// The table of users' statuses and the cursor up to which it is complete (docs/protocol.md, section 5).

/** @typedef {{status: string, at: number}} Entry `at`: when the status began, in milliseconds since the epoch */
/**
 * A change of one user's status.
 * @typedef {object} Change
 * @property {string} puid
 * @property {string} status `online`, `unavailable` or `offline`
 * @property {string} reason `explicit`, `lost`, `granted` or `revoked`; after `revoked` the PUID is invalid for good. `snapshot` if the
 *   status comes from a snapshot, which gives no reason
 * @property {number} at when the status began, in milliseconds since the epoch
 * @property {Origin} origin
 */
/** @typedef {{puid: string, status: string, reason: string, at: number}} Update */
/**
 * `update`: it has just happened. `replay`: it happened while the client was not connected; none is missing before it. `snapshot`: a
 * difference between the table and a snapshot; intermediate statuses are unknown.
 * @typedef {"update" | "replay" | "snapshot"} Origin
 */
/**
 * The updates of one frame, or a complete snapshot.
 * @typedef {{updates: Update[], cursor: string, origin: Origin, current?: boolean}} Batch `current`: nothing is missing after these, as
 *   after a snapshot and at the end of a replay
 */
/**
 * A table and its cursor, as JSON, with the cursor of the outcomes of notifications.
 * @typedef {{cursor: string, table: [puid: string, status: string, at: number][], outcomes?: string}} Stored
 */

const MAX_REVOKED = 10000; // remembered, to recognise a repeated `revoked`

/** The present status of every user who granted the application access, by PUID. Only `apply` changes it. */
export class Table {
  /** @type {Map<string, Entry>} */
  #entries = new Map();
  /** @type {Set<string>} */
  #revoked = new Set();
  /** @type {string | null} */
  #cursor = null;
  /** Position up to which outcomes of notifications were reported; "" before the first one. */
  outcomes = "";

  /** @param {Stored | null} [stored] */
  constructor(stored) {
    if (!stored) return;
    this.#cursor = stored.cursor;
    this.outcomes = stored.outcomes ?? "";
    for (const [puid, status, at] of stored.table) this.#entries.set(puid, { status, at });
  }

  /** Position up to which the table is complete; null before the first snapshot. */
  get cursor() {
    return this.#cursor;
  }

  get size() {
    return this.#entries.size;
  }

  /** @param {string} puid */
  get(puid) {
    return this.#entries.get(puid);
  }

  /** @param {string} puid */
  has(puid) {
    return this.#entries.has(puid);
  }

  /** @returns {IterableIterator<[string, Entry]>} */
  [Symbol.iterator]() {
    return this.#entries.entries();
  }

  /**
   * Return the table and its cursors in the form in which a store keeps them; null before the first snapshot.
   * @returns {Stored | null}
   */
  toJSON() {
    if (this.#cursor === null) return null;
    const table = Array.from(this.#entries, ([puid, { status, at }]) => /** @type {Stored["table"][number]} */ ([puid, status, at]));
    return { cursor: this.#cursor, table, ...(this.outcomes && { outcomes: this.outcomes }) };
  }

  /**
   * Bring the table to the state after a batch; return the changes. Repeated updates are no changes.
   * @param {Batch} batch
   * @returns {Change[]}
   */
  apply({ updates, cursor, origin }) {
    this.#cursor = cursor;
    return origin === "snapshot" ? this.#replace(updates) : this.#update(updates, origin);
  }

  /** @param {Update[]} updates @param {Origin} origin @returns {Change[]} */
  #update(updates, origin) {
    /** @type {Change[]} */
    const changes = [];
    for (const { puid, status, reason, at } of updates) {
      const granted = reason === "granted";
      if (!granted && this.#revoked.has(puid)) continue;
      if (granted) this.#revoked.delete(puid);
      const before = this.#entries.get(puid);
      if (reason === "revoked") this.#revoke(puid);
      else if (!granted && before?.status === status && before.at === at) continue;
      else this.#entries.set(puid, { status, at });
      changes.push({ puid, status, reason, at, origin });
    }
    return changes;
  }

  /** @param {string} puid */
  #revoke(puid) {
    this.#entries.delete(puid);
    this.#revoked.add(puid);
    if (this.#revoked.size > MAX_REVOKED) this.#revoked.delete(/** @type {string} */ (this.#revoked.values().next().value));
  }

  /** Replace the table: a user who is not in the snapshot has revoked the grant. @param {Update[]} updates @returns {Change[]} */
  #replace(updates) {
    const old = this.#entries;
    this.#entries = new Map();
    /** @type {Change[]} */
    const changes = [];
    for (const { puid, status, reason, at } of updates) {
      const before = old.get(puid);
      this.#entries.set(puid, { status, at });
      this.#revoked.delete(puid); // as after the restore of a backup
      old.delete(puid);
      if (before?.status !== status || before.at !== at) changes.push({ puid, status, reason, at, origin: "snapshot" });
    }
    for (const [puid, { at }] of old) {
      this.#revoke(puid);
      changes.push({ puid, status: "offline", reason: "revoked", at, origin: "snapshot" });
    }
    return changes;
  }
}
