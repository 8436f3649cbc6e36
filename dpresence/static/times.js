// Times in words. Those that `timeElement` creates update themselves.

import { element } from "./dom.js";
import { _, locale } from "./texts.js";

/** @type {[Intl.RelativeTimeFormatUnit, number][]} units and their seconds */
const UNITS = [["year", 31557600], ["month", 2629800], ["week", 604800], ["day", 86400], ["hour", 3600], ["minute", 60]];
const relative = new Intl.RelativeTimeFormat(locale, { numeric: "auto" });
const day = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeZone: "UTC" });
const clock = new Intl.DateTimeFormat(locale, { timeStyle: "short", timeZone: "UTC" });
const exact = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short" });

/**
 * Return how long ago a time was, such as "3 minutes ago".
 * @param {number} at milliseconds since the epoch
 * @param {number} [now] milliseconds since the epoch
 * @returns {string}
 */
export function relativeTime(at, now = Date.now()) {
  const seconds = Math.round((at - now) / 1000);
  const unit = UNITS.find(([, size]) => Math.abs(seconds) >= size);
  return unit ? relative.format(Math.trunc(seconds / unit[1]), unit[0]) : _("just now");
}

/**
 * Return a `<time>` with the relative time, which is kept up to date; for a value that is no time, a text that says so.
 * @param {number} at milliseconds since the epoch
 * @returns {HTMLElement}
 */
export function timeElement(at) {
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return element("span", {}, _("at an unknown time"));
  return element("time", { datetime: date.toISOString(), title: exact.format(date) }, relativeTime(at));
}

/**
 * Return a time of day, as its language writes it.
 * @param {string} time of 24 hours, such as "22:00"
 * @returns {string}
 */
export function clockTime(time) {
  return clock.format(new Date(`1970-01-01T${time}Z`));
}

/**
 * Return a date and time of day, in the browser's time zone.
 * @param {number} at milliseconds since the epoch
 * @returns {string}
 */
export function momentInWords(at) {
  return exact.format(at);
}

/**
 * Return a day in words: "today", "yesterday" or the date; "never" for null.
 * @param {string | null} date such as "2026-11-20", UTC
 * @param {number} [now] milliseconds since the epoch
 * @returns {string}
 */
export function dayInWords(date, now = Date.now()) {
  if (!date) return _("never");
  const days = [0, 1].map((back) => new Date(now - back * 86400000).toISOString().slice(0, 10));
  return [_("today"), _("yesterday")][days.indexOf(date)] ?? day.format(new Date(date));
}

setInterval(() => {
  for (const shown of document.querySelectorAll("time[title]")) {
    if (shown instanceof HTMLTimeElement) shown.textContent = relativeTime(Date.parse(shown.dateTime));
  }
}, 30000);
