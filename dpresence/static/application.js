// A developer's application: proven, activated, looked at, changed, stopped (docs/protocol.md, section 6).

import { onSubmit } from "./form.js";
import { announce, ask, attempt, call, day, download, element, isolate, root, since } from "./page.js";

const LOOK_MS = 2000;
const MINUTE_MS = 60000;
const REASONS = {
  dns: "The domain has no address, or an address that is not public. Check the spelling. A new domain can take a while to work everywhere.",
  refused: "No server answers there. Check that it runs, and on which port.",
  tls: "The server answers over https, but its certificate is not valid. It may be expired, self-signed, or for another name.",
  timeout: "The server did not answer in time. A firewall may block the request, or the server is too slow.",
  status: "The server did not answer with the file (HTTP status 200). The file may be missing, redirected or forbidden.",
  size: "The answer is too long. It must be only the text, not a web page around it.",
  mismatch: "The server answers with another text. It may be an old file, or a page of the web server itself.",
};

const at = (id) => document.getElementById(id);
const page = at("application");
const path = `/myapps/${page.dataset.appid}`;

const text = (field) => page.querySelector(`[data-field=${field}]`).textContent;

/** Act on a click; whoever works by keyboard stays at the button, unless the work leads elsewhere. */
function on(id, work) {
  at(id).addEventListener("click", async ({ currentTarget }) => {
    await attempt(currentTarget, work);
    if (document.activeElement === document.body) currentTarget.focus();
  });
}

/** Show an application as an answer describes it; which parts of the page there are follows from its state. */
function show(application) {
  page.dataset.state = application.active ? "active" : application.valid_domain ? "proven" : "unproven";
  for (const place of page.querySelectorAll("[data-field]")) place.textContent = application[place.dataset.field] ?? "";
  document.title = `${application.domain}: ${isolate(application.name)}`;
  const back = encodeURIComponent(`${application.proof}://${application.domain}/`);
  at("link").href = `${root}/grant/${application.appid}?redirect=${back}`;
  at("link-text").textContent = at("link").href;
}

/** Read the application anew, with its keys; returns them. */
async function read() {
  const application = await call("GET", path);
  show(application);
  at("keys").replaceChildren(...application.keys.map(row));
  return application.keys;
}

function row(key) {
  const works = key.expires_at === null ? "until you create a new one" : element("span", {}, "stops ", since(key.expires_at));
  const cells = [element("code", {}, `dpk_${key.id}_…`), since(key.created_at), day(key.last_used), works];
  return element("tr", {}, ...cells.map((cell) => element("td", {}, cell)));
}

// -- the proof

on("check", async () => {
  at("proof-problem").textContent = "";
  try {
    show(await call("POST", `${path}/validate`));
  } catch (error) {
    if (error.errno !== 141) throw error;
    at("proof-problem").textContent = `The file was not found. ${REASONS[error.details] ?? error.message}`;
    at("proof").open = true;
    return;
  }
  at("failing")?.remove();
  at("proof").open = false;
  announce("The file was found. Your domain is proven.");
});

on("download", () => download("__presence", at("domain-key").textContent));

// -- keys

/** Show a key, until somebody says that it is stored. */
function reveal(key, overlap) {
  at("key").textContent = key;
  at("overlap").hidden = !overlap;
  at("overlap").replaceChildren(...(overlap ? ["The previous key keeps working for a while: it stops ", since(overlap), "."] : []));
  at("new-key").hidden = false;
  at("new-key").focus();
}

function forget() {
  at("key").textContent = "";
  at("new-key").hidden = true;
}

on("stored", () => {
  forget();
  at("rotate").focus();
});

on("activate", async () => {
  const { api_key } = await call("POST", `${path}/activate`);
  reveal(api_key);
  await read();
  look();
});

on("rotate", async () => {
  const { api_key } = await call("POST", `${path}/key`);
  const keys = await read().catch(() => []); // the new key is shown whatever else fails
  reveal(api_key, keys.find((key) => key.expires_at !== null)?.expires_at);
});

on("deactivate", async () => {
  if (!(await ask("Deactivate the application?", "Its channels close and its keys stop working.", "Deactivate"))) return;
  show(await call("POST", `${path}/deactivate`));
  forget();
  announce("The application is no longer active.");
  at("activate").focus();
});

// -- changes

onSubmit(at("edit"), async (fields) => {
  const moves = fields.domain.toLowerCase() !== text("domain");
  const detail = "You have to serve a new file, and the application is not active until then. You have to ask everyone who allowed it again.";
  if (moves && !(await ask("Change the domain?", detail, "Change the domain"))) return;
  show(await call("PATCH", path, fields));
  if (moves) location.reload();
  else announce("Saved.");
});

on("delete", async () => {
  if (!(await ask(`Delete ${text("domain")}, ${isolate(text("name"))}?`, "All permissions end and its channels close. You cannot undo this.", "Delete"))) return;
  await call("DELETE", path);
  location.assign(`${root}/myapps`);
});

// -- what its service would be told now

let timer;
let looks = []; // the last minute's, oldest first: when, and how many updates there had been

function count(now) {
  const last = looks.at(-1);
  if (last && now.updates < last.updates) looks = []; // the service began to count anew
  looks.push({ when: Date.now(), updates: now.updates });
  while (looks.length > 1 && looks[1].when <= Date.now() - MINUTE_MS) looks.shift();
  for (const name of ["online", "unavailable", "offline", "sockets"]) at(name).textContent = now[name];
  at("updates").textContent = now.updates - looks[0].updates;
}

/** Look now and, while the page is open, again; a hidden page does not look. */
async function look() {
  clearTimeout(timer);
  let pause = LOOK_MS;
  try {
    if (page.dataset.state === "active" && !document.hidden) {
      count(await call("GET", `${path}/now`));
      at("live-note").textContent = "";
    }
  } catch (error) {
    if (error.errno === 142 || error.errno === 110 || error.outdated) return location.reload(); // changed elsewhere, or who is signed in
    at("live-note").textContent = error.signedOut ? "You are signed out. Reload the page to sign in again." : `These figures are out of date: ${error.message}`;
    pause = error.signedOut ? null : Math.max(LOOK_MS, (error.retryAfter ?? 0) * 1000);
  }
  clearTimeout(timer);
  if (pause) timer = setTimeout(look, pause);
}

attempt(null, read);
look();
