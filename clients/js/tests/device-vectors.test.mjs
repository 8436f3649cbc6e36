// Runs the vectors of clients/vectors for devices against presence.js; the README there describes their form. Sockets, timers, clocks
// and random numbers are fake.

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";

const FOLDER = new URL("../../vectors/", import.meta.url);
const real = { setTimeout, clearTimeout, random: Math.random, now: Date.now, WebSocket: globalThis.WebSocket };

let outputs = [], timers = new Map(), now = 0, next = 1, socket = null;

class FakeSocket {
  readyState = 1;
  constructor() {
    outputs.push({ connect: true });
    socket = this;
  }
  send(text) {
    outputs.push({ send: JSON.parse(text) });
  }
  close(code = 1000) {
    if (this.readyState === 1) outputs.push({ disconnect: code === 4000 ? 1002 : code });
    this.readyState = 3;
  }
}

const settle = async () => {
  for (let turn = 0; turn < 20; turn++) await null;
};

function fake(random) {
  [outputs, timers, now, next, socket] = [[], new Map(), 0, 1, null];
  globalThis.WebSocket = FakeSocket;
  globalThis.setTimeout = (what, wait) => (timers.set(next, [now + wait, what]), next++);
  globalThis.clearTimeout = (id) => timers.delete(id);
  performance.now = () => now;
  Date.now = () => now;
  Math.random = () => random;
}

function restore() {
  Object.assign(globalThis, { setTimeout: real.setTimeout, clearTimeout: real.clearTimeout, WebSocket: real.WebSocket });
  delete performance.now;
  Math.random = real.random;
  Date.now = real.now;
}

/** Run the timers up to a time, and only those before it unless `including`. */
async function pass(until, including = false) {
  for (;;) {
    await settle();
    const [id, [at, what]] = [...timers].sort(([, [one]], [, [other]]) => one - other)[0] ?? [0, [Infinity]];
    if (including ? at > until : at >= until) break;
    now = at;
    timers.delete(id);
    what();
  }
  now = until;
}

/** One vector. */
class Run {
  constructor({ given, random }, PresenceChannel) {
    fake(random);
    let ticket = given.ticket ?? null;
    const tickets = { get: () => ticket, set: (value) => value !== ticket && (ticket = value, outputs.push({ save_ticket: value })) };
    const signIn = () => new Promise((resolve, reject) => {
      outputs.push({ ask_credentials: true });
      this.asked = { resolve, reject };
    });
    const { email, device, status, label, kind, inbox, clears } = given;
    this.channel = new PresenceChannel({ url: "wss://x/presence", email, device: device ?? undefined, status, label, kind, inbox, clears, tickets, signIn });
    this.channel.addEventListener("state", ({ detail }) => this.onState(detail));
    this.channel.addEventListener("notification", (event) => (event.preventDefault(), this.shown.push(event.detail.id)));
    this.channel.addEventListener("unread", ({ detail }) => outputs.push({ unread: detail }));
    this.channel.addEventListener("cleared", ({ detail }) => outputs.push({ cleared: detail }));
    this.shown = [];
    this.state = "";
  }

  onState({ state, code, errno }) {
    if (state === "connected") outputs.push({ connected: true });
    if (state === "stopped") outputs.push({ stopped: this.stopping ? {} : errno ? { errno } : { code } });
  }

  async play(steps) {
    for (const { at, in: input, out } of steps) {
      await pass(at * 1000);
      assert.deepEqual(this.take(), [], `an output before ${at}`);
      await this.input(Object.keys(input)[0], Object.values(input)[0]);
      await settle();
      assert.deepEqual(this.take(), out, `at ${at}, ${JSON.stringify(input)}`);
    }
  }

  take() {
    const found = outputs;
    outputs = [];
    if (this.shown.length) found.push({ notifications: this.shown });
    this.shown = [];
    return found;
  }

  stop() {
    this.stopping = true;
    this.channel.stop();
  }

  async lose(close) {
    socket.readyState = 3;
    await socket.onclose(close);
  }

  async input(name, value) {
    const { channel } = this;
    if (name === "start") channel.start();
    else if (name === "stop") this.stop();
    else if (name === "time") await pass(now, true);
    else if (name === "opened") socket.onopen();
    else if (name === "receive") socket.onmessage({ data: JSON.stringify(value) });
    else if (name === "receive_text") socket.onmessage({ data: value });
    else if (name === "closed") await this.lose(value);
    else if (name === "credentials") this.asked.resolve(value);
    else if (name === "credentials_failed") this.asked.reject(Object.assign(new Error(value.text), { retryAfter: value.retry_after }));
    else if (name === "set_status") channel.setStatus(value);
    else if (name === "set_override") channel.setOverride(value.status, value.until);
    else if (name === "processed") channel.acknowledge(...value);
    else if (name === "mark_read") channel.markRead(...value);
    else if (name === "report") channel.report(value.action, ...value.notifications);
    else if (name === "failed") channel.failed(...value);
    else throw new Error(`no such input: ${name}`);
  }
}

const { PresenceChannel } = await import("../../../dpresence/static/presence.js");
let ran = 0;
for (const name of readdirSync(FOLDER).filter((file) => file.endsWith(".json")).sort()) {
  const { vectors } = JSON.parse(readFileSync(new URL(name, FOLDER), "utf8"));
  for (const vector of vectors.filter(({ client }) => client === "device")) {
    ran += 1;
    test(`${name}: ${vector.name}`, async () => {
      try {
        await new Run(vector, PresenceChannel).play(vector.steps);
      } finally {
        restore();
      }
    });
  }
}
test("there are vectors", () => assert.ok(ran > 30));
