// A part of presence.js: the ticket or assertion with which the device signs in.

/** @typedef {import("./presence-types.js").Options} Options */
/** @typedef {import("./presence-types.js").Tickets} Tickets */

const MAX_REFUSED = 3; // assertions in a row

/** The ticket of the next connection, and where assertions come from. */
export class Credentials {
  /** @type {Tickets} */
  #tickets;
  #signIn;
  #refused = 0;

  /** @param {Options} options */
  constructor({ signIn, tickets }) {
    this.#signIn = signIn;
    this.#tickets = tickets ?? ticketInMemory();
  }

  /** Return the ticket, which is kept until the next one has arrived, as an answer may get lost; without one, an assertion or null. */
  async get() {
    return this.#tickets.get() || this.#signIn();
  }

  /** Keep the ticket of an answer; null removes the present one. @param {string | null} ticket */
  keep(ticket) {
    this.#tickets.set(ticket);
  }

  /** Note an accepted sign-in, or that the program starts again. */
  accepted() {
    this.#refused = 0;
  }

  /** Remove a refused ticket; return whether another attempt makes sense. */
  refused() {
    this.keep(null);
    return ++this.#refused < MAX_REFUSED;
  }
}

/** @returns {Tickets} */
function ticketInMemory() {
  /** @type {string | null} */
  let stored = null;
  return { get: () => stored, set: (ticket) => void (stored = ticket) };
}
