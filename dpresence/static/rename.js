// The dialog that asks for another name of a device.

import { element } from "./dom.js";
import { _ } from "./texts.js";

/**
 * Ask for the name of a device.
 * @param {string} device
 * @param {string} before its present name
 * @returns {Promise<string | null>} "" for the name that the device gives itself; null if the person cancelled
 */
export function askForName(device, before) {
  const field = /** @type {HTMLInputElement} */ (element("input", { maxlength: "64", dir: "auto", autocomplete: "off", value: before, "aria-labelledby": "rename-title" }));
  const cancel = element("button", { type: "button", class: "quiet" }, _("Cancel"));
  const form = element("form", { method: "dialog", class: "stack" },
    element("h2", { id: "rename-title" }, _("Name of %(device)s", { device })),
    element("p", { id: "rename-hint" }, _("Leave it empty for the name that the device gives itself.")),
    field,
    element("p", { class: "row end" }, cancel, element("button", { value: "yes" }, _("Rename"))));
  const dialog = /** @type {HTMLDialogElement} */ (element("dialog", { "aria-labelledby": "rename-title", "aria-describedby": "rename-hint" }, form));
  cancel.addEventListener("click", () => dialog.close());
  document.body.append(dialog);
  dialog.showModal();
  field.select();
  return new Promise((resolve) => dialog.addEventListener("close", () => {
    dialog.remove();
    resolve(dialog.returnValue === "yes" ? field.value.trim() : null);
  }, { once: true }));
}
