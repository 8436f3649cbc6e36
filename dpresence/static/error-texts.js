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

/** @type {Record<string, [rule: RegExp, text: (...values: string[]) => string][]>} texts for the rules of a field; the first that fits */
const FIELD_TEXTS = {
  name: [
    [
      /reads as the web address (\S+), and only (\S+)/,
      (address, domain) =>
        _(
          "This name reads as the web address %(address)s. Only %(domain)s may be in it. If it is no address, write a space after each dot.",
          { address, domain },
        ),
    ],
    [/()/, () => _("Enter a name of up to 64 letters, without invisible or unusual ones.")],
  ],
  domain: [
    [/^give an (internationalised)/, () => _("Write other letters than a to z in the form that begins with xn--.")],
    [/^each (label)/, () => _("Check the spelling of the part that begins with xn--.")],
    [/()/, () => _("Enter only the name of the site, such as app.example.org, with nothing after it.")],
  ],
  events: [[/()/, () => _("Choose at least one.")]],
  description: [[/()/, () => _("Enter up to 500 letters in up to 10 lines, without invisible or unusual ones.")]],
};

/**
 * Return the text of an error of a field.
 * @param {string} name
 * @param {string} label
 * @param {string} rule what the service accepts, in English
 */
export function fieldErrorText(name, label, rule) {
  for (const [pattern, text] of FIELD_TEXTS[name] ?? []) {
    const found = pattern.exec(rule);
    if (found) return text(...found.slice(1));
  }
  return language === "en" ? `${label}: ${rule}.` : _("%(field)s: this is not accepted. The service asks for: %(rule)s", { field: label, rule });
}
