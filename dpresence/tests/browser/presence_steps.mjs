// Runs presence.js without a browser: sockets, timers, clocks and random numbers are fake. Reads steps (JavaScript) from standard input
// and writes what they return.

import { readFileSync } from "node:fs";

const [client] = process.argv.slice(2);
const { PresenceChannel, ...functions } = await import(client);

const sockets = [];
const timers = new Map();
const states = [];
const shown = [];
const proofs = []; // results of signIn, in order; an Error is thrown
let now = 0, most = 0, asked = 0, next = 1;

globalThis.WebSocket = class {
  constructor(url) {
    Object.assign(this, { url, readyState: 1, sent: [] });
    sockets.push(this);
  }
  send(text) {
    this.sent.push(JSON.parse(text));
  }
  close(code) {
    this.code = code;
  }
};
const answers = []; // bodies of the service's answers by HTTP; none if it cannot be reached
const fetched = [];
globalThis.origin = "https://page.example";
globalThis.fetch = async (url) => {
  fetched.push(String(url));
  if (!answers.length) throw new TypeError("Failed to fetch");
  return { json: async () => answers.shift() };
};
globalThis.setTimeout = (what, wait) => {
  timers.set(next, [now + wait, what]);
  most = Math.max(most, timers.size);
  return next++;
};
globalThis.clearTimeout = (id) => timers.delete(id);
const listeners = {}; // of the window and of the document, by event
const target = {
  addEventListener: (event, listener) => (listeners[event] = listener),
  removeEventListener: (event) => delete listeners[event],
};
Object.assign(globalThis, target);
globalThis.document = { hidden: false, ...target };
let slept = 0; // milliseconds that only the wall clock counts
performance.now = () => now;
Date.now = () => now + slept;
Math.random = () => 0.5;

const signIn = async () => {
  asked += 1;
  const proof = proofs.length > 1 ? proofs.shift() : proofs[0];
  if (proof instanceof Error) throw proof;
  return proof;
};
const settle = async () => {
  for (let turn = 0; turn < 20; turn++) await null;
};

/** Let time pass. */
async function pass(seconds) {
  const end = now + seconds * 1000;
  for (;;) {
    await settle();
    const [id, [at, what]] = [...timers].sort(([, [one]], [, [other]]) => one - other)[0] ?? [0, [Infinity]];
    if (at > end) break;
    now = at;
    timers.delete(id);
    what();
  }
  now = end;
}

const last = () => sockets.at(-1);
const say = async (frame) => (last().onmessage({ data: JSON.stringify(frame) }), settle());
const end = async (code, reason = "") => (last().onclose({ code, reason }), settle());

/** Connect and sign in. */
async function signed(ticket) {
  await settle();
  last().onopen();
  await say({ result: "OK", id: "sign-in", ...(ticket ? { ticket } : {}) });
}

const channel = new PresenceChannel({ email: "ann@example.org", device: "lap", signIn, url: "ws://x/presence" });
channel.addEventListener("state", ({ detail }) => states.push(detail));
channel.addEventListener("notification", ({ detail }) => shown.push(detail.id));

const AsyncFunction = (async () => {}).constructor;
const happen = async (event) => (listeners[event]?.(), settle());
const back = () => happen("online");
const sleep = (seconds) => (slept += seconds * 1000);
const names = { channel, back, happen, sleep, sockets, states, shown, proofs, pass, last, say, end, signed, settle, answers, fetched, ...functions };
const counts = { most: () => most, asked: () => asked, timers: () => timers.size };
const steps = new AsyncFunction(...Object.keys(names), ...Object.keys(counts), readFileSync(0, "utf8"));
console.log(JSON.stringify((await steps(...Object.values(names), ...Object.values(counts))) ?? null));
