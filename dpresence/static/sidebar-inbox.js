// The notifications on the sidebar: those of the user's inbox, newest first. If the service has no inboxes, those that have arrived.

import { byId, setText } from "./dom.js";
import { attempt, call, confirmAction } from "./page.js";
import { notificationItem } from "./sidebar-items.js";
import { _, ngettext } from "./texts.js";
import { offerUndo, sendHeld } from "./undo.js";
import { showUnread } from "./unread-badge.js";

/** @typedef {import("./presence-types.js").Notification & {read: boolean}} Entry */

const PAGE = 20, MOST = 500; // entries of one call

/** The list and its buttons. */
export class InboxList {
  /** @type {Entry[]} */
  #entries = [];
  #unread = 0;
  /** @type {Set<string>} ids of notifications whose deletion can still be undone, or is not answered yet */
  #deleted = new Set();
  /** @type {string | undefined} */
  #next;
  #calls = 0; // an answer that a later call has overtaken is ignored
  #opened = ""; // id of a notification that is to have the focus
  #isKept = byId("inbox").dataset.days !== "0";
  #senderOf;
  #showList;
  #onOpened;
  #onRead;

  /**
   * @param {(entry: Entry) => {domain: string, icon?: string}} senderOf
   * @param {(items: HTMLElement[]) => void} showList
   * @param {(id: string) => void} onOpened is called when the user has opened a notification
   * @param {(ids: string[]) => void} onRead is called with the notifications that are read, here or on another device
   */
  constructor(senderOf, showList, onOpened, onRead) {
    this.#senderOf = senderOf;
    this.#showList = showList;
    this.#onOpened = onOpened;
    this.#onRead = onRead;
    byId("read-all").addEventListener("click", () => this.#readAll());
    byId("clear").addEventListener("click", () => this.#clear());
    byId("older").addEventListener("click", () => this.#older());
  }

  /** Read the list again: as many entries as it shows, and the new ones. */
  async refresh() {
    if (!this.#isKept) return;
    const number = ++this.#calls;
    try {
      const page = await call("GET", `/notifications?limit=${Math.min(MOST, Math.max(PAGE, this.#entries.length))}`);
      if (number === this.#calls) this.#replace(page.notifications, page.unread, page.next);
    } catch {
      // the page says that the service cannot be reached, and reads the list again when it is connected
    }
  }

  /**
   * Add a notification that has arrived.
   * @param {import("./presence-types.js").Notification} one
   */
  add(one) {
    if (this.#entries.some(({ id }) => id === one.id)) return;
    this.#replace([{ ...one, read: false }, ...this.#entries].slice(0, MOST), this.#unread + 1, this.#next);
  }

  /** Show a notification that was opened outside of the page, and mark it as read. @param {string} id */
  async open(id) {
    this.#onOpened(id);
    await attempt(null, () => this.#call("POST", "/notifications/read", { notifications: [id] }));
    this.#opened = id;
    await this.refresh();
    this.#focusOpened();
  }

  /** Move the focus to the notification that was opened outside of the page, once it is in the list. */
  #focusOpened() {
    const item = document.getElementById(this.#opened);
    if (!item) return;
    item.focus();
    this.#opened = "";
  }

  /** Show another number of unread entries, without reading the list. @param {number} count */
  setUnread(count) {
    if (this.#isKept) this.#replace(this.#entries, count, this.#next);
  }

  /** Remove everything from the page, after a sign-out. */
  forget() {
    this.#calls += 1;
    this.#replace([], 0, undefined);
  }

  /** Show the list again. */
  show() {
    const item = (/** @type {Entry} */ one) =>
      notificationItem(one, this.#senderOf(one), (button) => this.#read(button, one), () => this.#remove(one));
    const entries = this.#entries.filter(({ id }) => !this.#deleted.has(id));
    const unread = this.#unread - this.#entries.filter(({ id, read }) => this.#deleted.has(id) && !read).length;
    this.#showList(entries.map(item));
    byId("unread").hidden = unread === 0;
    setText(byId("unread"), ngettext("%(num)s new", "%(num)s new", unread));
    byId("read-all").hidden = unread === 0;
    byId("inbox-actions").hidden = entries.length === 0;
    byId("more").hidden = this.#next === undefined;
    showUnread(unread);
    this.#focusOpened();
  }

  /** @param {Entry[]} entries @param {number} unread @param {string | undefined} next */
  #replace(entries, unread, next) {
    const before = this.#shown();
    [this.#entries, this.#unread, this.#next] = [entries, unread, next];
    if (this.#shown() === before) return;
    this.show();
    this.#onRead(entries.filter(({ read }) => read).map(({ id }) => id));
  }

  /** Return a text that is another one when the list looks different. */
  #shown() {
    return JSON.stringify([this.#entries.map(({ id, read }) => [id, read]), this.#unread, this.#next ?? null]);
  }

  /** Make a call, unless the service has no inboxes. @param {string} method @param {string} path @param {object} [body] */
  async #call(method, path, body) {
    if (this.#isKept) await call(method, path, body);
    this.#calls += 1; // the answer to an earlier call is outdated
  }

  /** @param {HTMLElement | null} button null if the user has followed the link @param {Entry} one */
  async #read(button, one) {
    if (!button) this.#onOpened(one.id);
    if (one.read || !(await attempt(button, () => this.#call("POST", "/notifications/read", { notifications: [one.id] })))) return;
    this.#replace(this.#entries.map((each) => (each.id === one.id ? { ...each, read: true } : each)), Math.max(0, this.#unread - 1), this.#next);
  }

  async #readAll() {
    const [newest] = this.#entries;
    if (!newest || !(await attempt(byId("read-all"), () => this.#call("POST", "/notifications/read", { until: newest.id })))) return;
    this.#replace(this.#entries.map((each) => ({ ...each, read: true })), 0, this.#next);
    byId("notifications-title").focus();
  }

  /** Hide an entry, and delete it when the user does not undo that. @param {Entry} one */
  #remove(one) {
    sendHeld();
    this.#deleted.add(one.id);
    this.show();
    const restore = () => {
      this.#deleted.delete(one.id);
      this.show();
    };
    offerUndo(_("The notification is deleted."), () => this.#delete(one).finally(restore), () => {
      restore();
      document.getElementById(one.id)?.focus();
    });
  }

  /** @param {Entry} one */
  async #delete(one) {
    if (!(await attempt(null, () => this.#call("DELETE", `/notifications/${encodeURIComponent(one.id)}`)))) return;
    const left = this.#entries.filter(({ id }) => id !== one.id);
    if (left.length === this.#entries.length) return; // everything was deleted meanwhile
    [this.#entries, this.#unread] = [left, one.read ? this.#unread : Math.max(0, this.#unread - 1)];
  }

  async #clear() {
    const everywhere = _("They are deleted on all your devices. What has not reached a device yet still arrives there.");
    const detail = this.#isKept ? everywhere : _("They are stored nowhere else, so you cannot get them back.");
    sendHeld();
    if (!(await confirmAction(_("Delete all notifications?"), detail, _("Delete all")))) return;
    if (!(await attempt(byId("clear"), () => this.#call("DELETE", "/notifications")))) return;
    this.#replace([], 0, undefined);
    byId("notifications-title").focus();
  }

  async #older() {
    const after = this.#next;
    await attempt(byId("older"), async () => {
      const page = await call("GET", `/notifications?limit=${PAGE}&after=${after}`);
      if (after === this.#next) this.#replace([...this.#entries, ...page.notifications], page.unread, page.next);
    });
  }
}
