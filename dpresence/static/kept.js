// What this browser keeps for the person who is signed in: for each account apart, and until they sign out. Somebody else may sit here next.

const PREFIX = "dpresence";

function open() {
  try {
    localStorage.setItem(PREFIX, ""); // throws where it may be read only, or there is no room
    localStorage.removeItem(PREFIX);
    return localStorage;
  } catch {
    return null; // the browser lets this page keep nothing
  }
}

const storage = open();
const unkept = new Map(); // the same for as long as this page is open

/** Whether the browser keeps anything. */
export const lasting = storage !== null;

/** What is kept for one account, by name. */
export class Kept {
  #prefix;

  /** @param {string} account an e-mail address */
  constructor(account) {
    this.#prefix = `${PREFIX} ${account} `;
  }

  /** Return what is kept under a name, null for nothing. */
  get(name) {
    return (storage ? storage.getItem(this.#prefix + name) : unkept.get(this.#prefix + name)) ?? null;
  }

  /** Keep a text under a name; null removes it. @param {string | null} value */
  set(name, value) {
    const key = this.#prefix + name;
    if (!storage) return void unkept.set(key, value);
    if (value === null) return storage.removeItem(key);
    try {
      storage.setItem(key, value);
    } catch {
      storage.removeItem(key); // no room: nothing rather than what was said before
    }
  }

  /** Forget what is kept for others: they are not signed in here any more. */
  forgetOthers() {
    forget((key) => !key.startsWith(this.#prefix));
  }
}

/** Forget what is kept for whomever: they have signed out. */
export function forget(which = () => true) {
  for (const key of Object.keys(storage ?? {})) if (key.startsWith(PREFIX) && which(key)) storage.removeItem(key);
  for (const key of [...unkept.keys()]) if (which(key)) unkept.delete(key);
}
