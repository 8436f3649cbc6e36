// Forms whose fields the service checks: its error for a field is shown at that field.

import { fieldErrorText } from "./error-texts.js";
import { ServiceError, attempt } from "./page.js";

/**
 * Send a form when it is submitted. An error of a field is shown in the element `<id of the field>-error`.
 * @param {HTMLFormElement} form
 * @param {(fields: Record<string, string>) => Promise<unknown>} send
 */
export function onSubmit(form, send) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    for (const field of form.elements) showFieldError(field, "");
    attempt(event.submitter, async () => {
      try {
        await send(Object.fromEntries([...new FormData(form)].map(([name, value]) => [name, String(value)])));
      } catch (error) {
        if (!(error instanceof ServiceError && showAtField(form, error.error))) throw error;
      }
    });
  });
}

/**
 * Show an error of the form `name: what is allowed` at its field and focus the field.
 * @param {HTMLFormElement} form
 * @param {string} message
 * @returns {boolean} false if the form has no such field
 */
function showAtField(form, message) {
  const [name] = message.split(":", 1);
  const field = form.elements.namedItem(name);
  if (!(field instanceof HTMLElement)) return false;
  showFieldError(field, fieldErrorText(name, form.querySelector(`label[for=${field.id}]`)?.textContent ?? name, message.slice(name.length + 1).trim()));
  field.focus();
  return true;
}

/**
 * @param {Element} field
 * @param {string} error empty to remove it
 */
function showFieldError(field, error) {
  const shown = document.getElementById(`${field.id}-error`);
  if (!shown) return;
  shown.textContent = error;
  if (error) field.setAttribute("aria-invalid", "true");
  else field.removeAttribute("aria-invalid");
}
