// The operator's page: reads the figures every two seconds while somebody can see it (docs/protocol.md, section 6).

import { call, element, since } from "./page.js";

const PAUSE = 2000;
const MINUTE = 60000;
const PLOTS = [
  ["devices", "Connected devices", (last, most) => `${last} now, peak ${most}`],
  ["updates", "Updates per minute", (last, most) => `${last} this minute, peak ${most}`],
  ["errors", "Errors per minute", (last, most) => `${last} this minute, peak ${most}`],
];
const COLUMNS = ["devices", "users", "applications", "updates", "errors", "slow_readers"];
const WIDTH = 60;
const HEIGHT = 24;

const place = (id) => document.getElementById(id);
const number = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const clock = new Intl.DateTimeFormat("en", { hour: "2-digit", minute: "2-digit", hour12: false });
let timer;

/** Put a text where it is not already: screen readers read what changes. */
function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Make a list show what it is given, touching only what changed. Each item's key is what it shows. */
function keep(list, items, key, make) {
  const shown = new Map([...list.children].map((child) => [child.dataset.key, child]));
  const wanted = items.map((item) => [key(item), item]);
  const keys = new Set(wanted.map(([name]) => name));
  for (const [name, child] of shown) if (!keys.has(name)) child.remove();
  wanted.forEach(([name, item], index) => {
    const child = shown.get(name) ?? make(item);
    child.dataset.key = name;
    if (list.children[index] !== child) list.insertBefore(child, list.children[index] ?? null);
  });
}

/** Return a table's row. */
function row(cells, numbers) {
  return element("tr", {}, ...cells.map((cell, index) => element("td", { class: numbers.includes(index) ? "number" : undefined }, cell)));
}

// -- the plots

function drawing(tag, attributes, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

for (const [name, title] of PLOTS) {
  const bars = drawing("path", { fill: "currentColor", d: "" });
  const plot = drawing("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-labelledby": `plot-${name}`, class: "plot" }, bars);
  const caption = element("figcaption", { id: `plot-${name}` }, element("strong", {}, title), " ", element("span", { class: "small" }));
  const ends = element("p", { class: "row small", "aria-hidden": "true" }, element("span", { class: "fill" }, "an hour ago"), element("span", {}, "now"));
  place("plots").append(element("figure", { class: "card", id: `figure-${name}` }, caption, plot, ends));
}

/** Draw a bar for each minute that is known; the last one is at the right. */
function plot(name, minutes, words) {
  const figure = place(`figure-${name}`);
  const values = minutes.map((minute) => minute[name]);
  const most = Math.max(0, ...values);
  const newest = minutes.at(-1)?.at ?? 0;
  const bars = minutes.map((minute) => {
    const left = WIDTH - 1 - (newest - minute.at) / MINUTE;
    const height = most ? (minute[name] / most) * HEIGHT : 0;
    return height ? `M${left.toFixed(2)},${HEIGHT}v${-height.toFixed(2)}h0.8v${height.toFixed(2)}z` : "";
  });
  figure.querySelector("path").setAttribute("d", bars.join(""));
  say(figure.querySelector("figcaption span"), words(number.format(values.at(-1) ?? 0), number.format(most)));
}

// -- the rest

function showHealth(health) {
  const away = health.filter(({ reached, asked }) => reached < asked).map(({ backend }) => backend);
  place("state").dataset.status = away.length ? "bad" : "good";
  say(place("state"), away.length ? `Not answering: ${away.join(", ")}` : health.length ? "All backends answer" : "Checking the backends …");
  keep(place("health"), health, JSON.stringify, ({ backend, reached, asked }) => {
    const well = reached === asked;
    const words = well ? "answers" : reached ? `answers only ${reached} of ${asked} processes` : "does not answer";
    const sign = element("span", { class: "status", "data-status": well ? "good" : reached ? "warn" : "bad" }, words);
    return element("li", { class: "row" }, element("span", { class: "fill" }, backend), sign);
  });
}

function showTable(name, items, key) {
  const table = place(name);
  table.hidden = !items.length;
  place(`no-${name}`).hidden = !table.hidden;
  keep(table.tBodies[0], items, JSON.stringify, (item) => row([String(item[key]), item.meaning, number.format(item.count)], [2]));
}

function showEvent({ at, what, who, times }) {
  const words = [what, times > 1 ? ` (${times} times)` : ""];
  if (who) words.push(" ", element("span", { class: "name muted" }, who));
  return element("li", {}, element("span", { class: "small" }, since(at)), element("br"), ...words);
}

function show(figures) {
  for (const node of place("figures").querySelectorAll("dd")) say(node, number.format(figures[node.id]));
  for (const [name, , words] of PLOTS) plot(name, figures.minutes, words);
  keep(place("minutes"), figures.minutes.slice().reverse(), JSON.stringify, (minute) =>
    row([clock.format(minute.at), ...COLUMNS.map((name) => number.format(minute[name]))], [1, 2, 3, 4, 5, 6]));
  showHealth(figures.health);
  keep(place("events"), figures.events.reverse(), JSON.stringify, showEvent);
  showTable("errors", figures.errors, "errno");
  showTable("closes", figures.closes, "code");
  keep(place("processes").tBodies[0], figures.processes, JSON.stringify, ({ pid, started_at: at, sockets, memory_bytes: bytes }) =>
    row([String(pid), since(at), number.format(sockets), bytes ? `${number.format(bytes / 1048576)} MB` : "unknown"], [2, 3]));
}

async function look() {
  clearTimeout(timer);
  if (document.hidden) return;
  try {
    show(await call("GET", "/admin/figures"));
  } catch (error) {
    if (error.status === 401 || error.status === 403) return location.reload(); // leads to sign in, or says why not
    place("state").dataset.status = "warn";
    say(place("state"), `${error.message} These figures are out of date. Trying again …`);
  }
  clearTimeout(timer); // somebody may have come back meanwhile
  timer = setTimeout(look, PAUSE);
}

document.addEventListener("visibilitychange", look);
look();
