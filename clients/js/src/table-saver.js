// Saves the table of an application: one save at a time, at most once a second, and ever more rarely while saves fail.

/** @typedef {import("./app-types.js").Store} Store */
/** @typedef {import("./table.js").Table} Table */

const SAVE_MS = 1000; // from a change to its save, and from the first failure to the next attempt
const MOST_MS = 60000; // from the last of several failures in a row to the next attempt

/** The table of one application, and its store. */
export class TableSaver {
  #store;
  #table;
  #changed = false;
  #closed = false;
  #failures = 0; // in a row
  /** @type {ReturnType<typeof setTimeout> | undefined} until the save that it begins has ended */
  #timer;
  /** @type {Promise<void>} the newest save */
  #last = Promise.resolve();

  /** @param {Store} store @param {Table} table */
  constructor(store, table) {
    this.#store = store;
    this.#table = table;
  }

  /** Save the table soon. A failure is logged, and the save is tried again. */
  changed() {
    this.#changed = true;
    const wait = Math.min(MOST_MS, SAVE_MS * 2 ** Math.max(0, this.#failures - 1));
    if (!this.#closed) this.#timer ??= setTimeout(() => this.#saveDue(), wait);
  }

  /** Store the last changes, and stop saving. @throws the error of the store if the table could not be stored */
  async close() {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#save();
  }

  async #saveDue() {
    this.#failures += 1;
    await this.#save().then(() => (this.#failures = 0), (error) => console.error("the table is not stored:", error));
    this.#timer = undefined;
    if (this.#changed) this.changed();
  }

  /** Save what has changed, after the former save has ended. */
  #save() {
    return (this.#last = this.#last.catch(() => {}).then(() => this.#write()));
  }

  async #write() {
    const stored = this.#changed ? this.#table.toJSON() : null;
    this.#changed = false;
    try {
      if (stored) await this.#store.save(stored);
    } catch (error) {
      this.#changed = true;
      throw error;
    }
  }
}
