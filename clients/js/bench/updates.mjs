// Measures the CPU time that an `AppService` takes per update, and that of parsing the same frames with nothing around. Writes a line of
// JSON. Usage: node --experimental-websocket updates.mjs <url of a server that sends the frames> <number of updates>

import { AppService } from "../src/index.js";

const [url, count] = [process.argv[2], Number(process.argv[3])];

/** Return the frames of the server. */
function receive() {
  return new Promise((resolve) => {
    const socket = new WebSocket(`${url.replace("http", "ws")}/myapps/app`);
    const frames = [];
    let updates = 0;
    socket.onopen = () => socket.send("{}");
    socket.onmessage = ({ data }) => {
      updates += JSON.parse(data).updates?.length ?? 0;
      frames.push(data);
      if (updates < count) return;
      socket.close();
      resolve(frames);
    };
  });
}

/** Take all updates in a program with a listener. */
async function listen() {
  const app = new AppService({ url, appid: "app", key: "key" });
  let updates = 0;
  const done = new Promise((resolve) => app.addEventListener("change", () => ++updates === count && resolve()));
  await app.start();
  await done;
  await app.stop();
}

/** Take all updates in a program with a loop. */
async function iterate() {
  const app = new AppService({ url, appid: "app", key: "key" });
  let updates = 0;
  await app.start();
  for await (const change of app) if (change && ++updates === count) break;
  await app.stop();
}

/** Return the least CPU time of some runs, in seconds per update. */
async function measured(work) {
  const times = [];
  for (let run = 0; run < 5; run++) {
    const before = process.cpuUsage();
    await work();
    const { user, system } = process.cpuUsage(before);
    times.push(user + system);
  }
  return Math.min(...times) / 1e6 / count;
}

const frames = await receive();
const parsing = await measured(() => frames.forEach((frame) => JSON.parse(frame)));
console.log(JSON.stringify({ parsing, listener: await measured(listen), loop: await measured(iterate) }));
