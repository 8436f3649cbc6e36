// Desktop notifications: the system shows them if the person turns them on and the browser can.

import { announce, webAddress } from "./page.js";

/** The button that chooses, and the notifications. */
export class Outside {
  #button;
  #kept;

  /**
   * @param {HTMLButtonElement} button
   * @param {import("./kept.js").Kept} kept
   */
  constructor(button, kept) {
    this.#button = button;
    this.#kept = kept;
    button.addEventListener("click", () => this.#choose());
    this.#show();
  }

  /** Show one; the tag keeps several tabs from showing it twice. */
  notify(title, { message, action, id, domain, site }) {
    if (!("Notification" in window) || !this.#wanted()) return;
    const url = webAddress(action);
    this.#try(title, { body: domain && domain !== site ? `${domain}\n${message}` : message, tag: id }, () => (url ? open(url.href, "_blank", "noopener,noreferrer") : focus()));
  }

  #wanted() {
    return this.#kept.get("outside") === "yes" && Notification.permission === "granted";
  }

  #show() {
    this.#button.hidden = !("Notification" in window) || Notification.permission === "denied";
    if (!this.#button.hidden) this.#button.textContent = this.#wanted() ? "Turn off desktop notifications" : "Turn on desktop notifications";
  }

  async #choose() {
    const on = !this.#wanted() && (await Notification.requestPermission()) === "granted";
    this.#kept.set("outside", on ? "yes" : "no");
    if (on) this.#try("Notifications will look like this", { tag: "dpresence" });
    if (this.#wanted()) announce("Desktop notifications are on.");
    else if (!on) announce("Desktop notifications are off.");
    this.#show();
  }

  /** Show one as the system does, or say that it does not: on Android a browser has this for service workers only. */
  #try(title, options, act) {
    try {
      new Notification(title, options).onclick = act;
    } catch {
      this.#kept.set("outside", "no");
      this.#show();
      announce("This browser cannot show desktop notifications.", "alert");
    }
  }
}
