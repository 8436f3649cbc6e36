// The development sign-in: the issuer of this machine asserts the e-mail, and the session opens with that.

import { call } from "./page.js";

const form = document.getElementById("development");
const email = form.elements.email;
const problem = document.getElementById("problem");

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  problem.textContent = "";
  try {
    const { assertion } = await call("POST", "/__dev__/assertion", { email: email.value });
    await call("POST", "/login", { assertion });
    location.assign(form.dataset.next);
  } catch (error) {
    problem.textContent = error.message;
    email.setAttribute("aria-invalid", "true");
    email.focus();
  }
});
