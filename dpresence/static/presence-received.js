// A part of presence.js: which notifications came, and which of them have yet to be acknowledged.

const MOST_KNOWN = 2000; // ids of notifications

/** Notifications that this channel has got, over all its connections. */
export class Received {
  #known = new Map(); // id of a notification: whether it may be acknowledged
  #owed = new Set(); // acknowledgements not answered yet
  #asked = []; // those of them that were sent

  /**
   * Take what came: each notification is shown once.
   * @param {{id: string}[]} notifications
   * @param {(one: {id: string}) => boolean} show whether it may be acknowledged right away
   */
  take(notifications, show) {
    for (const one of notifications) {
      if (!this.#known.has(one.id)) this.#known.set(one.id, show(one));
      if (this.#known.get(one.id)) this.#owed.add(one.id); // also when it came again: then the service did not hear
    }
    for (const id of this.#known.keys()) if (this.#known.size > MOST_KNOWN) this.#known.delete(id);
  }

  /** Let notifications be acknowledged. @param {string[]} ids */
  acknowledge(ids) {
    for (const id of ids) {
      this.#known.set(id, true);
      this.#owed.add(id);
    }
  }

  /** Return the ids for the next acknowledgement, [] while one is not answered yet. What was refused is in the next one again. */
  next() {
    if (this.#asked.length) return [];
    return (this.#asked = [...this.#owed].slice(0, MOST_KNOWN));
  }

  /** Note the answer to an acknowledgement. @param {boolean} accepted */
  answered(accepted) {
    if (accepted) for (const id of this.#asked) this.#owed.delete(id);
    this.#asked = [];
  }
}
