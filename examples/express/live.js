// The statuses of the members, live: follows dpresence, and tells the pages that are open.

const ALIVE_MS = 15000; // a comment is sent this often, so that no proxy ends the stream for its silence
const MAX_UNREAD_BYTES = 65536;

/** Follows one `AppService`. */
export class Live {
  #presence;
  #members;
  #pages = new Set();
  #current = false; // what the pages were told

  constructor(presence, members) {
    this.#presence = presence;
    this.#members = members;
    setInterval(() => this.#pages.forEach((page) => page.write(": still here\n\n")), ALIVE_MS).unref();
  }

  /** Follow the changes, and forget the PUIDs that were revoked; throw when dpresence has refused the application for good. */
  async run() {
    this.#presence.addEventListener("change", ({ detail: { puid, reason } }) => {
      const name = this.#members.name(puid);
      if (reason === "revoked") this.#members.forget(puid);
      if (name !== undefined) this.publish(name);
    });
    const stopped = new Promise((resolve, reject) => {
      this.#presence.addEventListener("state", ({ detail }) => {
        if (detail.state === "waiting") console.warn(`not connected to dpresence: ${detail.reason}`);
        this.#tellIfCurrent();
        if (detail.state !== "stopped") return;
        if (detail.error) reject(detail.error);
        else resolve();
      });
    });
    this.#presence.addEventListener("current", () => this.#tellIfCurrent());
    await this.#presence.start();
    await stopped;
  }

  /** Return the status of a member; null for one who does not let the club see it, "unknown" while dpresence does not tell. */
  status(name) {
    const puid = this.#members.puid(name);
    if (puid === undefined) return null;
    return this.#presence.current ? (this.#presence.table.get(puid)?.status ?? "offline") : "unknown";
  }

  /** Send the status of a member to all pages. */
  publish(name) {
    this.#publish("change", [name]);
  }

  /** Send all statuses when they become known, or unknown. */
  #tellIfCurrent() {
    if (this.#presence.current === this.#current) return;
    this.#current = this.#presence.current;
    this.#publish("all", this.#members.names());
  }

  /** Send statuses to all pages. A page that does not read is cut off: its browser comes back and begins anew. */
  #publish(kind, names) {
    for (const page of this.#pages) {
      if (page.writableLength > MAX_UNREAD_BYTES) page.destroy();
      else this.#send(page, kind, names);
    }
  }

  /** Send a page the statuses of all members by name, then those that change, until it is closed. */
  stream(response) {
    response.set({ "Content-Type": "text/event-stream", "Cache-Control": "no-store" });
    response.on("close", () => this.#pages.delete(response));
    this.#pages.add(response);
    this.#send(response, "all", this.#members.names());
  }

  #send(page, kind, names) {
    const statuses = Object.fromEntries(names.map((name) => [name, this.status(name)]));
    page.write(`event: ${kind}\ndata: ${JSON.stringify(statuses)}\n\n`);
  }
}
