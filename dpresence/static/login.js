// The development sign-in: the issuer of this machine vouches for the e-mail, and the session opens with that.

const form = document.getElementById("development");

/** POST JSON; resolves to the answer, rejects with the service's own words. */
async function post(path, body) {
  const answer = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  const result = await answer.json();
  if (!answer.ok) throw new Error(result.error);
  return result;
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    const { assertion } = await post("/__dev__/assertion", { email: form.elements.email.value });
    await post("/login", { assertion });
    location.assign(form.dataset.next);
  } catch (error) {
    document.getElementById("problem").textContent = error.message;
  }
});
