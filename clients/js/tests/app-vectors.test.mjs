// Runs the vectors of clients/vectors for app services against the core; the README there describes their form.

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";
import { AppCore } from "../src/app-core.js";
import { ClientStopped, Closed, OutcomeUnknown, Refused } from "../src/errors.js";
import { Table } from "../src/table.js";

const FOLDER = new URL("../../vectors/", import.meta.url);
const random = Math.random;

const shownError = (error) => {
  if (error instanceof Refused) return error.errno ? { errno: error.errno } : { status: error.status };
  if (error instanceof OutcomeUnknown) return { unknown: true };
  if (error instanceof ClientStopped) return { closed: true };
  return error instanceof Closed ? { code: error.code } : {};
};
const shownResults = (found) => (found instanceof Error ? shownError(found) : { results: found.map((one) => (one instanceof Refused ? one.errno : "OK")) });

/** One vector, with a clock of its own. */
class Run {
  constructor({ given, random: value }) {
    Math.random = () => value;
    const entries = Object.entries(given.table ?? {}).map(([puid, [status, at]]) => [puid, status, at]);
    this.table = new Table(given.cursor ? { cursor: given.cursor, table: entries } : null);
    this.core = new AppCore(given.key);
    if (given.cursor) this.core.restore(given.cursor);
    if (given.outcomes !== undefined) this.core.follow(given.outcomes);
  }

  play(steps) {
    for (const { at, in: input, out } of steps) {
      this.advance(at * 1000);
      this.input(Object.keys(input)[0], Object.values(input)[0], at * 1000);
      assert.deepEqual(this.outputs(), out, `at ${at}, ${JSON.stringify(input)}`);
    }
  }

  /** Tick at every deadline before a time; none of them may have an output. */
  advance(until) {
    for (let turn = 0; this.core.deadline < until; turn++) {
      assert.ok(turn < 100, "the deadline does not advance");
      const at = this.core.deadline;
      this.core.tick(at);
      assert.deepEqual(this.outputs(), [], `an output at ${at}, before ${until}`);
    }
  }

  input(name, value, now) {
    const { core } = this;
    if (name === "start") core.start(now);
    else if (name === "stop") core.stop();
    else if (name === "time") core.tick(now);
    else if (name === "opened") core.opened(now);
    else if (name === "refused") core.refused(value, now);
    else if (name === "receive") core.received(JSON.stringify(value), now);
    else if (name === "receive_text") core.received(value, now);
    else if (name === "receive_binary") core.received(new ArrayBuffer(1), now);
    else if (name === "closed") core.closed(value.code, value.reason, now);
    else if (name === "notify") core.notify(value);
    else if (name === "abandon") core.abandon(value);
    else throw new Error(`no such input: ${name}`);
  }

  outputs() {
    return this.core.take().filter(({ type }) => type !== "waiting").map((output) => this.shown(output));
  }

  shown(output) {
    if (output.type === "deliver") {
      const changes = this.table.apply(output.batch);
      const current = output.batch.current ? { current: true } : {};
      return { changes: changes.map(({ puid, status, reason, at, origin }) => [puid, status, reason, at, origin]), ...current };
    }
    if (output.type === "outcomes") return { outcomes: output.batch.outcomes.map(({ id, puid, outcome, at }) => [id, puid, outcome, at]) };
    if (output.type === "answer") return { answer: output.number, ...shownResults(output.results) };
    if (output.type === "stopped") return { stopped: output.error ? shownError(output.error) : {} };
    if (output.type === "disconnect") return { disconnect: output.code };
    return output.type === "send" ? { send: JSON.parse(JSON.stringify(output.frame)) } : { [output.type]: true };
  }
}

let ran = 0;
for (const name of readdirSync(FOLDER).filter((file) => file.endsWith(".json")).sort()) {
  const { vectors } = JSON.parse(readFileSync(new URL(name, FOLDER), "utf8"));
  for (const vector of vectors.filter(({ client }) => client === "appservice")) {
    ran += 1;
    test(`${name}: ${vector.name}`, () => {
      try {
        new Run(vector).play(vector.steps);
      } finally {
        Math.random = random;
      }
    });
  }
}
test("there are vectors", () => assert.ok(ran > 30));
