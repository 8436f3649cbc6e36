// A user's account for tests: makes every call once, and writes what each returned as a line of JSON.
// Usage: node account.mjs <url> <development token> <email> <appid>

import { Account } from "../src/index.js";

const [url, token, email, appid] = process.argv.slice(2);

async function signIn() {
  const headers = { "Content-Type": "application/json", "X-Development-Token": token };
  const answer = await fetch(`${url}/__dev__/assertion`, { method: "POST", headers, body: JSON.stringify({ email }) });
  return (await answer.json()).assertion;
}

const account = new Account({ url: `${url}/`, signIn });
const night = { zone: "Europe/Berlin", weekly: [{ days: ["sat"], from: "03:00", to: "03:01" }] };
const [two, one] = (await account.notifications()).notifications;
const calls = {
  setOverride: () => account.setOverride("unavailable", 4102444800000),
  endOverride: () => account.endOverride(),
  status: () => account.status(),
  setHours: () => account.setHours(night),
  removeHours: () => account.removeHours(),
  hours: () => account.hours(),
  changeGrant: () => account.changeGrant(appid, { shows: "reachable", hours: night }),
  grants: () => account.grants(),
  markRead: () => account.markRead(one.id),
  markReadUntil: () => account.markReadUntil(two.id),
  deleteNotification: () => account.deleteNotification(two.id),
  notifications: () => account.notifications(),
  clearNotifications: () => account.clearNotifications(),
  refused: () => account.setOverride("online", 1),
  signedOut: () => new Account({ url, signIn: async () => null }).status(),
  unreachable: () => new Account({ url: "http://127.0.0.1:9", signIn }).status(),
};
for (const [name, call] of Object.entries(calls)) {
  const answer = await call().catch((error) => ({ error: error.name, errno: error.errno, field: error.field }));
  console.log(JSON.stringify([name, answer ?? null]));
}
