// The operator's page: reads the figures every two seconds while it is visible (docs/protocol.md, section 6).

import { byId, element, setText } from "./dom.js";
import { call, toServiceError } from "./page.js";
import { _, locale, ngettext } from "./texts.js";
import { timeElement } from "./times.js";

/** @typedef {Record<string, number> & {at: number}} Minute counts of a minute; `at` is in milliseconds */
/** @typedef {{backend: string, reached: number, asked: number}} Health numbers of processes */
/** @typedef {{at: number, what: string, who?: string, times: number}} Event */
/** @typedef {{meaning: string, count: number, errno?: number, code?: number}} Count */
/** @typedef {{pid: number, started_at: number, sockets: number, memory_bytes: number | null}} Process */
/**
 * @typedef {Record<string, any> & {minutes: Minute[], health: Health[], events: Event[], errors: Count[], closes: Count[],
 *   processes: Process[]}} Figures
 */

const REFRESH_MS = 2000;
const MINUTE_MS = 60000;
/** @type {[name: string, title: string, caption: (last: string, peak: string) => string][]} */
const PLOTS = [
  ["devices", _("Connected devices"), (last, peak) => _("%(last)s now, peak %(peak)s", { last, peak })],
  ["updates", _("Status changes per minute"), (last, peak) => _("%(last)s this minute, peak %(peak)s", { last, peak })],
  ["errors", _("Errors per minute"), (last, peak) => _("%(last)s this minute, peak %(peak)s", { last, peak })],
];
const COLUMNS = ["devices", "users", "applications", "updates", "errors", "slow_readers"];
const WIDTH = 60;
const HEIGHT = 24;

const number = new Intl.NumberFormat(locale, { maximumFractionDigits: 1 });
const clock = new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit", hour12: false });
/** @type {number | undefined} */
let timer;

/**
 * Make the children of a list show items. Children of unchanged items stay as they are; the key of an item is its JSON.
 * @template T
 * @param {Element} list
 * @param {T[]} items
 * @param {(item: T) => HTMLElement} create
 */
function showItems(list, items, create) {
  const children = /** @type {HTMLElement[]} */ ([...list.children]);
  const shown = new Map(children.map((child) => [child.dataset.key, child]));
  const keys = items.map((item) => JSON.stringify(item));
  for (const child of children) if (!keys.includes(child.dataset.key ?? "")) child.remove();
  items.forEach((item, index) => {
    const child = shown.get(keys[index]) ?? create(item);
    child.dataset.key = keys[index];
    if (list.children[index] !== child) list.insertBefore(child, list.children[index] ?? null);
  });
}

/**
 * Return a table row.
 * @param {(string | Node)[]} cells
 * @param {number[]} numbers indices of the cells that contain numbers
 */
function row(cells, numbers) {
  return element("tr", {}, ...cells.map((cell, index) => element("td", { class: numbers.includes(index) ? "number" : undefined }, cell)));
}

/** @param {string} id */
const tableBody = (id) => byId(id, HTMLTableElement).tBodies[0];

// Plots

/**
 * Create an SVG element.
 * @param {string} tag
 * @param {Record<string, string>} attributes
 * @param {...Node} children
 */
function svg(tag, attributes, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

for (const [name, title] of PLOTS) {
  const label = { role: "img", "aria-labelledby": `plot-${name}` };
  const bars = svg("path", { fill: "currentColor", d: "" });
  const plot = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", class: "plot", ...label }, bars);
  const caption = element("figcaption", { id: `plot-${name}` }, element("strong", {}, title), " ", element("span", { class: "small" }));
  const ends = element("p", { class: "row small", "aria-hidden": "true" }, element("span", { class: "fill" }, _("an hour ago")), element("span", {}, _("now")));
  byId("plots").append(element("figure", { class: "card", id: `figure-${name}` }, caption, plot, ends));
}

/**
 * Draw a bar for each minute; the last one is at the right.
 * @param {string} name
 * @param {Minute[]} minutes
 * @param {(last: string, peak: string) => string} caption
 */
function drawPlot(name, minutes, caption) {
  const figure = byId(`figure-${name}`);
  const values = minutes.map((minute) => minute[name]);
  const peak = Math.max(0, ...values);
  const newest = minutes.at(-1)?.at ?? 0;
  const bars = minutes.map((minute) => {
    const left = WIDTH - 1 - (newest - minute.at) / MINUTE_MS;
    const height = peak ? (minute[name] / peak) * HEIGHT : 0;
    return height ? `M${left.toFixed(2)},${HEIGHT}v${-height.toFixed(2)}h0.8v${height.toFixed(2)}z` : "";
  });
  figure.querySelector("path")?.setAttribute("d", bars.join(""));
  const text = figure.querySelector("figcaption span");
  if (text) setText(text, caption(number.format(values.at(-1) ?? 0), number.format(peak)));
}

// Lists and tables

/** @param {Health[]} health */
function showHealth(health) {
  const failing = health.filter(({ reached, asked }) => reached < asked).map(({ backend }) => backend);
  byId("state").dataset.status = failing.length ? "bad" : "good";
  const summary = health.length ? _("All backends answer") : _("Checking the backends …");
  setText(byId("state"), failing.length ? _("Not answering: %(backends)s", { backends: failing.join(", ") }) : summary);
  showItems(byId("health"), health, ({ backend, reached, asked }) => {
    const healthy = reached === asked;
    const words = healthy ? _("answers") : reached ? _("answers only %(reached)s of %(asked)s processes", { reached, asked }) : _("does not answer");
    const sign = element("span", { class: "status", "data-status": healthy ? "good" : reached ? "warn" : "bad" }, words);
    return element("li", { class: "row" }, element("span", { class: "fill" }, backend), sign);
  });
}

/**
 * @param {"errors" | "closes"} name
 * @param {Count[]} items
 * @param {"errno" | "code"} key
 */
function showCounts(name, items, key) {
  byId(name).hidden = !items.length;
  byId(`no-${name}`).hidden = items.length > 0;
  showItems(tableBody(name), items, (item) => row([String(item[key]), english(item.meaning), number.format(item.count)], [2]));
}

/** Return a text of the service: those of the log and of the protocol are in English. @param {string} text */
const english = (text) => element("bdi", { lang: "en" }, text);

/** @param {Event} event */
function eventItem({ at, what, who, times }) {
  /** @type {(string | Node)[]} */
  const words = [english(what), times > 1 ? " (" + ngettext("%(num)s time", "%(num)s times", times) + ")" : ""];
  if (who) words.push(" ", element("span", { class: "name muted" }, who));
  return element("li", {}, element("span", { class: "small" }, timeElement(at)), element("br"), ...words);
}

/** @param {Minute} minute */
function minuteRow(minute) {
  return row([clock.format(minute.at), ...COLUMNS.map((name) => number.format(minute[name]))], [1, 2, 3, 4, 5, 6]);
}

/** @param {Process} process */
function processRow({ pid, started_at: at, sockets, memory_bytes: bytes }) {
  return row([String(pid), timeElement(at), number.format(sockets), bytes ? `${number.format(bytes / 1048576)} MB` : _("unknown")], [2, 3]);
}

/** @param {Figures} figures */
function show(figures) {
  for (const node of byId("figures").querySelectorAll("dd")) setText(node, number.format(figures[node.id]));
  for (const [name, , caption] of PLOTS) drawPlot(name, figures.minutes, caption);
  showItems(byId("minutes"), figures.minutes.slice().reverse(), minuteRow);
  showHealth(figures.health);
  showItems(byId("events"), figures.events.reverse(), eventItem);
  showCounts("errors", figures.errors, "errno");
  showCounts("closes", figures.closes, "code");
  showItems(tableBody("processes"), figures.processes, processRow);
}

async function refresh() {
  clearTimeout(timer);
  if (document.hidden) return;
  try {
    show(await call("GET", "/admin/figures"));
  } catch (caught) {
    const error = toServiceError(caught);
    if (error.status === 401 || error.status === 403) return location.reload(); // leads to the sign-in, or shows the refusal
    byId("state").dataset.status = "warn";
    setText(byId("state"), error.message + " " + _("These figures are out of date. Trying again …"));
  }
  clearTimeout(timer); // the page may have become visible again during the call
  timer = setTimeout(refresh, REFRESH_MS);
}

document.addEventListener("visibilitychange", refresh);
refresh();
