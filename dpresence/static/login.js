// The development sign-in: the development issuer asserts the e-mail address, and the assertion opens a session.

import { byId } from "./dom.js";
import { call, toServiceError } from "./page.js";

const form = byId("development", HTMLFormElement);
const email = /** @type {HTMLInputElement} */ (form.elements.namedItem("email"));
const problem = byId("problem");

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  problem.textContent = "";
  try {
    const { assertion } = await call("POST", "/__dev__/assertion", { email: email.value });
    await call("POST", "/login", { assertion });
    location.assign(form.dataset.next ?? "");
  } catch (caught) {
    const { error: text, message } = toServiceError(caught);
    problem.textContent = text || message; // this form is a developer's
    email.setAttribute("aria-invalid", "true");
    email.focus();
  }
});
