// A store of the table in a file, for Node.

import { readFile, rename, writeFile } from "node:fs/promises";
import { StoreError } from "./errors.js";

/** @typedef {import("./table.js").Stored} Stored */

const MODE = 0o600; // the PUIDs are private data of their users

/** Keeps the table and its cursors together in one JSON file, which is replaced as a whole. */
export class FileStore {
  #path;

  /** @param {string} path */
  constructor(path) {
    this.#path = path;
  }

  /** @returns {Promise<Stored | null>} null if there is no file yet @throws {StoreError} it is not a file of this store */
  async load() {
    let stored;
    try {
      stored = JSON.parse(await readFile(this.#path, "utf8"));
    } catch (error) {
      if (/** @type {{code?: string}} */ (error).code === "ENOENT") return null;
      throw new StoreError(`${this.#path} cannot be read as a stored table: ${/** @type {Error} */ (error).name}; delete it to begin with a snapshot`);
    }
    const isTable = typeof stored?.cursor === "string" && ["string", "undefined"].includes(typeof stored.outcomes) && Array.isArray(stored.table) && stored.table.every(isEntry);
    if (!isTable) throw new StoreError(`${this.#path} is not a stored table; delete it to begin with a snapshot`);
    return stored;
  }

  /** @param {Stored} stored */
  async save(stored) {
    const next = `${this.#path}.new`;
    await writeFile(next, JSON.stringify(stored), { mode: MODE, flush: true });
    await rename(next, this.#path);
  }
}

/** @param {unknown} entry */
function isEntry(entry) {
  return Array.isArray(entry) && typeof entry[0] === "string" && typeof entry[1] === "string" && Number.isInteger(entry[2]);
}
