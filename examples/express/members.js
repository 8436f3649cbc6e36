// Which member has which PUID, in a JSON file. Your own database takes the place of this. A PUID is private data of its member: no page
// shows it.

import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";

/** The members who let the club see when they are reachable. */
export class Members {
  #path;
  #puids;

  constructor(path) {
    this.#path = path;
    this.#puids = new Map(existsSync(path) ? JSON.parse(readFileSync(path, "utf8")) : []);
  }

  #save() {
    writeFileSync(`${this.#path}.new`, JSON.stringify([...this.#puids]), { mode: 0o600 });
    renameSync(`${this.#path}.new`, this.#path);
  }

  /** Store a PUID; return the names whose status this changes. A person who was somebody else here before is now this member. */
  join(name, puid) {
    const before = this.name(puid);
    this.#puids.delete(before);
    this.#puids.set(name, puid);
    this.#save();
    return before === undefined || before === name ? [name] : [before, name];
  }

  /** Remove a PUID: the person has revoked the access, and it is invalid for good. */
  forget(puid) {
    if (this.#puids.delete(this.name(puid))) this.#save();
  }

  /** Return the PUID of a member. */
  puid(name) {
    return this.#puids.get(name);
  }

  /** Return the member with a PUID. */
  name(puid) {
    return this.names().find((name) => this.#puids.get(name) === puid);
  }

  /** Return all members. */
  names() {
    return [...this.#puids.keys()];
  }
}
