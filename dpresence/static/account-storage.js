// The browser's storage, with separate values for each account. They are deleted at sign-out: another person may use the browser next.

const PREFIX = "dpresence";

/** @returns {Storage | null} null if the browser stores nothing for this site */
function open() {
  try {
    localStorage.setItem(PREFIX, ""); // throws if the storage is read-only or full
    localStorage.removeItem(PREFIX);
    return localStorage;
  } catch {
    return null;
  }
}

const storage = open();
/** @type {Map<string, string | null>} values of this page if the browser stores nothing */
const memory = new Map();

/** True if stored values outlive the page. */
export const isPersistent = storage !== null;

/** Values of one account, by name. */
export class AccountStorage {
  #prefix;

  /** @param {string} account e-mail address */
  constructor(account) {
    this.#prefix = `${PREFIX} ${account} `;
  }

  /**
   * Return the value with a name, or null.
   * @param {string} name
   * @returns {string | null}
   */
  get(name) {
    return (storage ? storage.getItem(this.#prefix + name) : memory.get(this.#prefix + name)) ?? null;
  }

  /**
   * Set a value; null deletes it.
   * @param {string} name
   * @param {string | null} value
   */
  set(name, value) {
    const key = this.#prefix + name;
    if (!storage) return void memory.set(key, value);
    if (value === null) return storage.removeItem(key);
    try {
      storage.setItem(key, value);
    } catch {
      storage.removeItem(key); // storage is full: no value is better than an outdated one
    }
  }

  /** Delete the values of all other accounts, which are no longer signed in. */
  deleteOthers() {
    deleteKeys((key) => !key.startsWith(this.#prefix));
  }
}

/** Delete the values of all accounts. */
export function deleteAll() {
  deleteKeys(() => true);
}

/** @param {(key: string) => boolean} matches */
function deleteKeys(matches) {
  if (storage) for (const key of Object.keys(storage)) if (key.startsWith(PREFIX) && matches(key)) storage.removeItem(key);
  for (const key of [...memory.keys()]) if (matches(key)) memory.delete(key);
}
