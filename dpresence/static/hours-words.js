// Weekly hours in words.

import { _, locale } from "./texts.js";
import { clockTime } from "./times.js";

/** @typedef {{days: string[], from: string, to: string}} Interval */
/** @typedef {{zone: string, weekly: Interval[]}} Hours */

const DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const weekday = new Intl.DateTimeFormat(locale, { weekday: "short", timeZone: "UTC" });

/** @param {Interval} interval */
function intervalInWords({ days, from, to }) {
  const times = { start: clockTime(from), end: clockTime(to.replace("24:00", "00:00")) };
  if (days.length === DAYS.length) return _("every day from %(start)s to %(end)s", times);
  const names = days.map((day) => weekday.format(Date.UTC(1970, 0, 5 + DAYS.indexOf(day)))); // a Monday, and the days after it
  return _("%(days)s from %(start)s to %(end)s", { days: names.join(", "), ...times });
}

/**
 * Return hours as the person reads them, with their time zone if it is not that of the browser.
 * @param {Hours} hours
 */
export function hoursInWords({ zone, weekly }) {
  const words = weekly.map(intervalInWords).join("; ");
  return zone === Intl.DateTimeFormat().resolvedOptions().timeZone ? words : `${words} (${zone})`;
}
