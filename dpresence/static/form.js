// Forms whose fields the service checks: what it says of a field stands at that field.

import { ServiceError, attempt } from "./page.js";

/**
 * Send a form when it is submitted. An error of a field is shown in the element `<id of the field>-error`.
 * @param {HTMLFormElement} form
 * @param {(fields: Record<string, string>) => Promise<unknown>} send
 */
export function onSubmit(form, send) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    for (const field of form.elements) mark(field, "");
    attempt(event.submitter, async () => {
      try {
        await send(Object.fromEntries(new FormData(form)));
      } catch (error) {
        if (!(error instanceof ServiceError && place(form, error.message))) throw error;
      }
    });
  });
}

/** Show an error (`name: what is allowed`) at its field and go there; false when the form has no such field. */
function place(form, message) {
  const [name] = message.split(":", 1);
  const field = form.elements.namedItem(name);
  if (!field) return false;
  mark(field, `${form.querySelector(`label[for=${field.id}]`).textContent}${message.slice(name.length)}.`);
  field.focus();
  return true;
}

function mark(field, error) {
  const shown = document.getElementById(`${field.id}-error`);
  if (!shown) return;
  shown.textContent = error;
  if (error) field.setAttribute("aria-invalid", "true");
  else field.removeAttribute("aria-invalid");
}
