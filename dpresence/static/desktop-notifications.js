// Desktop notifications: the system shows them if the user has turned them on and the browser supports them.

import { webAddress } from "./dom.js";
import { announce, root } from "./page.js";
import { _ } from "./texts.js";

const SETTING = "desktop notifications";

/** The button that turns desktop notifications on and off, and the notifications. */
export class DesktopNotifications {
  #button;
  #storage;
  /** @type {Map<string, globalThis.Notification>} those that this page has shown, by tag */
  #shown = new Map();

  /**
   * @param {HTMLElement} button
   * @param {import("./account-storage.js").AccountStorage} storage
   */
  constructor(button, storage) {
    this.#button = button;
    this.#storage = storage;
    button.addEventListener("click", () => this.#toggle());
    this.#showButton();
  }

  /**
   * Show a notification if they are on; return whether it is shown. The tag prevents that several tabs show it twice.
   * @param {string} title
   * @param {import("./presence-types.js").Notification} notification
   * @param {string | undefined} icon path of the application's icon
   * @param {() => void} onOpened is called when the user opens it
   */
  show(title, { message, action, id, domain }, icon, onOpened) {
    if (!("Notification" in window) || !this.#areOn()) return false;
    const url = webAddress(action);
    const open = () => {
      onOpened();
      if (url) window.open(url.href, "_blank", "noopener,noreferrer");
      else focus();
    };
    const body = domain ? `${domain}\n${message}` : message;
    return this.#tryToShow(title, { body, tag: id, icon: icon && root + icon }, open);
  }

  /** Close notifications that need not be shown any more. @param {string[]} ids */
  close(ids) {
    for (const id of ids) {
      this.#shown.get(id)?.close();
      this.#shown.delete(id);
    }
  }

  /** Close all of them. */
  closeAll() {
    this.close([...this.#shown.keys()]);
  }

  #areOn() {
    return this.#storage.get(SETTING) === "yes" && Notification.permission === "granted";
  }

  #showButton() {
    this.#button.hidden = !("Notification" in window) || Notification.permission === "denied";
    if (!this.#button.hidden) this.#button.textContent = this.#areOn() ? _("Turn off desktop notifications") : _("Turn on desktop notifications");
  }

  async #toggle() {
    const on = !this.#areOn() && (await Notification.requestPermission()) === "granted";
    this.#storage.set(SETTING, on ? "yes" : "no");
    if (on) this.#tryToShow(_("Notifications will look like this"), { tag: "dpresence" }, null);
    if (this.#areOn()) announce(_("Desktop notifications are on."));
    else if (!on) announce(_("Desktop notifications are off."));
    this.#showButton();
  }

  /**
   * Show a notification and return true, or turn them off and say so if the browser throws: on Android only service workers may show notifications.
   * @param {string} title
   * @param {NotificationOptions & {tag: string}} options
   * @param {(() => unknown) | null} onclick
   */
  #tryToShow(title, options, onclick) {
    try {
      const shown = new Notification(title, options);
      [shown.onclick, shown.onclose] = [onclick, () => this.#shown.get(options.tag) === shown && this.#shown.delete(options.tag)];
      this.#shown.set(options.tag, shown);
      return true;
    } catch {
      this.#storage.set(SETTING, "no");
      this.#showButton();
      announce(_("This browser cannot show desktop notifications."), "alert");
      return false;
    }
  }
}
