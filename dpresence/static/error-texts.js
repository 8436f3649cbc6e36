// Texts of refusals for a person, by errno (docs/protocol.md, section 7). The service's own texts are in English, for developers.

import { _, language, ngettext } from "./texts.js";

/** @typedef {{errno?: number, error?: string, details?: unknown, retry_after?: number}} ErrorBody the error object */

/** @type {Record<number, string>} */
const TEXTS = {
  110: _("This does not exist, or it no longer does."),
  114: _("There are too many of these already."),
  121: _("Nothing was changed: someone has signed in again since you opened this page. Reload the page."),
  140: _("The domain of this application is not proven."),
  142: _("This application is not active."),
  201: _("The service is unavailable for a moment. Try again."),
  999: _("Something went wrong in the service. Try again."),
};

/**
 * Return the text of a refusal. One that has none of its own is a developer's: it has the service's.
 * @param {ErrorBody} body
 * @returns {string}
 */
export function errorText({ errno = 0, error = "", retry_after: seconds = 0 }) {
  if (errno === 117) return _("That was too often in a short time.") + (seconds ? ` ${retryText(seconds)}` : "");
  if (errno in TEXTS) return TEXTS[errno];
  if (!error) return _("The service did not answer as expected.");
  return errno && language !== "en" ? _("The service refused this: %(error)s", { error }) : error;
}

/** @param {number} seconds */
function retryText(seconds) {
  return ngettext("You can try again in %(num)s second.", "You can try again in %(num)s seconds.", seconds);
}

/**
 * Return the text of an error of a field.
 * @param {string} field its label
 * @param {string} rule what the service accepts, in English
 */
export function fieldErrorText(field, rule) {
  return language === "en" ? `${field}: ${rule}.` : _("%(field)s: this is not accepted. The service asks for: %(rule)s", { field, rule });
}
