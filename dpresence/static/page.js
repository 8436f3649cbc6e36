// Functions and behaviour of every page: calls to the service, announcements, confirmations, sign-out. base.jinja2 loads it.

import { AccountStorage, deleteAll } from "./account-storage.js";
import { disableButtons } from "./click-guard.js";
import { byId } from "./dom.js";
import { errorText } from "./error-texts.js";
import { endPush } from "./push-owner.js";
import { _ } from "./texts.js";
import { sendHeld } from "./undo.js";

const OUTCOME = "dpresence outcome";
const ANSWER_SECONDS = 60; // limit of a call: a connection that is dead, as after a sleep, may take many minutes to fail
/** Path prefix of this service: empty, or `identity.path` of the ini. */
export const root = new URL("..", import.meta.url).pathname.slice(0, -1);
const csrf = metaContent("csrf");
/** E-mail address of the user who is signed in; empty if nobody is. */
export const account = metaContent("account");

/** End what other people have left in this browser. */
async function endOthers() {
  const storage = new AccountStorage(account);
  storage.deleteOthers();
  if (storage.get("push") !== "yes") await endPush(call, root);
}

/** Settled when no other person's push subscription is left. */
export const othersEnded = account ? endOthers() : Promise.resolve();

/** @param {string} name */
function metaContent(name) {
  return document.querySelector(`meta[name=${name}]`)?.getAttribute("content") ?? "";
}

/** Return whether the browser accepts cookies of this site. Chromium's `navigator.cookieEnabled` is true even if settings block all. */
function acceptsCookies() {
  document.cookie = "dpresence-test=1; SameSite=Strict";
  const accepted = document.cookie.includes("dpresence-test=");
  document.cookie = "dpresence-test=; Max-Age=0; SameSite=Strict";
  return accepted;
}

byId("no-cookies").hidden = account !== "" || acceptsCookies();

/** A refusal, with the service's text (docs/protocol.md, section 7). */
export class ServiceError extends Error {
  /**
   * @param {number} status HTTP status; 0 if there was no answer
   * @param {{errno?: number, error?: string, details?: unknown, retry_after?: number}} body the error object
   */
  constructor(status, body) {
    super(errorText(body));
    /** The service's text, in English. */
    this.error = body.error ?? "";
    this.status = status;
    this.errno = body.errno ?? 0;
    this.details = body.details;
    /** Seconds, or undefined. */
    this.retryAfter = body.retry_after;
  }

  /** True if the session is over and the user must sign in again. */
  get signedOut() {
    return this.errno === 104 || this.errno === 130;
  }

  /** True if a user, perhaps the same one, has signed in since the page was loaded, so that it must be reloaded. */
  get outdated() {
    return this.errno === 121;
  }
}

/**
 * Return a caught error as a ServiceError; an error that is no refusal of the service has status 0 and errno 0.
 * @param {unknown} error
 * @returns {ServiceError}
 */
export function toServiceError(error) {
  if (error instanceof ServiceError) return error;
  return new ServiceError(0, { error: error instanceof Error ? error.message : String(error) });
}

/**
 * Make a REST call with the session's cookie and CSRF token.
 * @param {string} method
 * @param {string} path
 * @param {unknown} [body] a file, or what is sent as JSON
 * @param {number} [seconds] how long to wait for the answer
 * @returns {Promise<any>} the answer's JSON; null if it is empty
 * @throws {ServiceError}
 */
export async function call(method, path, body, seconds = ANSWER_SECONDS) {
  /** @type {Record<string, string>} */
  const headers = { Accept: "application/json" };
  if (csrf) headers["X-CSRF-Token"] = csrf;
  const isFile = body instanceof Blob;
  if (body !== undefined) headers["Content-Type"] = isFile ? body.type : "application/json";
  const sent = isFile || body === undefined ? body : JSON.stringify(body);
  const signal = AbortSignal.timeout?.(seconds * 1000); // undefined in browsers from before 2022
  let answer, result;
  try {
    answer = await fetch(root + path, { method, headers, body: sent, cache: "no-store", keepalive: method === "DELETE", signal });
    const text = await answer.text();
    result = text ? JSON.parse(text) : null;
  } catch {
    throw new ServiceError(answer?.status ?? 0, { error: answer ? undefined : _("The service cannot be reached.") });
  }
  if (!answer.ok) throw new ServiceError(answer.status, result ?? {});
  return result;
}

/**
 * Read all pages of a list.
 * @param {string} path e.g. "/grants"
 * @param {string} name key of the list in the answer, e.g. "grants"
 * @returns {Promise<any[]>}
 * @throws {ServiceError}
 */
export async function callForAll(path, name) {
  const found = [];
  /** @type {string | undefined} */
  let after = "";
  while (after !== undefined) {
    const page = await call("GET", `${path}?after=${encodeURIComponent(after)}`);
    found.push(...page[name]);
    after = page.next;
  }
  return found;
}

/** @type {Map<string, number>} timers that remove an announcement, by kind */
const timers = new Map();

/**
 * Show a text for a while. Screen readers read it out.
 * @param {string} text
 * @param {"status" | "alert"} [kind] an alert interrupts a screen reader: for errors
 */
export function announce(text, kind = "status") {
  const place = byId(kind);
  clearTimeout(timers.get(kind));
  place.textContent = text;
  timers.set(kind, setTimeout(() => (place.textContent = ""), 6000 + 60 * text.length));
}

/**
 * Run an action that the service may refuse. Its button is busy meanwhile, but keeps the focus; a refusal is announced.
 * @param {HTMLElement | null} button
 * @param {() => unknown} action a promise is awaited
 * @returns {Promise<boolean>} whether the action succeeded
 */
export async function attempt(button, action) {
  if (button?.ariaBusy === "true") return false;
  if (button) button.ariaBusy = "true";
  try {
    await action();
    return true;
  } catch (caught) {
    const error = toServiceError(caught);
    if (error.signedOut) location.assign(`${root}/login?next=${encodeURIComponent(location.pathname + location.search)}`);
    else announce(error.message, "alert");
    return false;
  } finally {
    if (button) button.ariaBusy = null;
  }
}

/**
 * Run an action when a button is clicked. The button keeps the focus, unless the action has moved it.
 * @param {string} id
 * @param {() => unknown} action
 */
export function onClick(id, action) {
  const button = byId(id);
  button.addEventListener("click", async () => {
    await attempt(button, action);
    if (document.activeElement === document.body) button.focus();
  });
}

/**
 * Ask for confirmation of an action that cannot be undone.
 * @param {string} title the question
 * @param {string} detail consequences of the action
 * @param {string} verb label of the button that confirms
 * @returns {Promise<boolean>} whether the user confirmed
 */
export function confirmAction(title, detail, verb) {
  const dialog = byId("question", HTMLDialogElement);
  byId("question-title").textContent = title;
  byId("question-detail").textContent = detail;
  const button = byId("question-yes");
  button.textContent = verb;
  button.className = "danger";
  dialog.returnValue = "no";
  dialog.showModal();
  disableButtons("settling"); // the second click of a double click does not confirm
  return new Promise((resolve) => dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true }));
}

/** True while a call signs the user out, and then until the start page opens: calls of the page would be refused. */
export let signingOut = false;

/**
 * Sign the user out, dispatch `signedout` at the window, delete the stored values of all accounts and open the start page, which says what was done.
 * @param {HTMLElement} button
 * @param {() => Promise<unknown>} action makes the call
 * @param {string} done
 */
export async function signOut(button, action, done) {
  sendHeld(); // it needs the session
  signingOut = true;
  signingOut = await attempt(button, async () => {
    await endPush(call, root); // it needs the session, too
    await action();
    dispatchEvent(new Event("signedout"));
    deleteAll();
    keepOutcome(done);
    location.assign(`${root}/`);
  });
}

/** @param {string} [done] to keep for the next page of this tab; without it, the kept one is removed and returned */
function keepOutcome(done) {
  try {
    const kept = sessionStorage.getItem(OUTCOME) ?? "";
    if (done) sessionStorage.setItem(OUTCOME, done);
    else sessionStorage.removeItem(OUTCOME);
    return kept;
  } catch {
    return ""; // the browser stores nothing for this site
  }
}

const outcome = document.getElementById("outcome");
if (outcome && !account) outcome.textContent = keepOutcome();

// the number of unread notifications on the installed app: another person may use the browser next
if (!account && [`${root}/`, `${root}/login`].includes(location.pathname)) navigator.clearAppBadge?.().catch(() => {});

document.addEventListener("click", async ({ target }) => {
  const button = target instanceof Element ? target.closest("[data-copy]") : null;
  if (!(button instanceof HTMLElement)) return;
  try {
    await navigator.clipboard.writeText(byId(button.dataset.copy ?? "").textContent ?? "");
    announce(_("Copied."));
  } catch {
    announce(_("Your browser does not let this page copy. Select the text instead."), "alert");
  }
});

/** End the session. One that has ended before is what the user wants, too. */
async function logOut() {
  await call("POST", "/logout").catch((/** @type {ServiceError} */ error) => {
    if (!error.signedOut) throw error;
  });
}

const signOutButton = document.getElementById("signout");
signOutButton?.addEventListener("click", () => signOut(signOutButton, logOut, _("You are signed out.")));
