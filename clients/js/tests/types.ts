// Compiled in strict mode, never run: the types that programs in TypeScript get.

import { AppService, Device, Refused, type Change, type DeviceState, type Notification } from "dpresence-client";
import { FileStore } from "dpresence-client/file-store";

const app = new AppService({ url: "https://presence.example.org", appid: "a", key: "k", store: new FileStore("table.json") });
app.addEventListener("change", ({ detail }) => {
  const change: Change = detail;
  const origin: "update" | "replay" | "snapshot" = change.origin;
  console.log(change.puid, change.status, change.reason, change.at.toFixed(), origin);
});
app.addEventListener("current", () => console.log(app.current ? app.table.size.toFixed() : ""));
app.addEventListener("state", ({ detail }) => detail.state === "waiting" && console.log(detail.reason, detail.retryAt.toFixed()));
// @ts-expect-error there is no such event
app.addEventListener("changed", () => undefined);
// @ts-expect-error a key is required
new AppService({ url: "https://presence.example.org", appid: "a" });

export async function follow(): Promise<void> {
  await app.start();
  for await (const { puid, status } of app) console.log(puid, status, app.table.get(puid)?.at.toFixed());
  const { id, queueSize, delivered } = await app.notify("puid", "Your move", { action: "https://chess.example.org/g/7", ttl: 60 });
  console.log(id, queueSize.toFixed(), delivered === true);
  for (const result of await app.notifyMany([{ puid: "p1" }])) console.log(result instanceof Refused ? result.errno.toFixed() : result.id);
}

const me = new Device({ email: "ada@example.org", url: "wss://presence.example.org/presence", signIn: async () => "an assertion" });
me.addEventListener("notification", ({ detail }) => {
  const notification: Notification = detail;
  console.log(notification.message, notification.sent.toFixed());
});
me.addEventListener("unread", ({ detail }) => console.log(detail.toFixed()));
me.markRead("n_1", "n_2");
me.addEventListener("state", ({ detail }) => {
  const state: DeviceState = detail;
  if (state.state === "stopped") console.log(state.code.toFixed(), state.reason);
});
me.setStatus("unavailable");
// @ts-expect-error no such status
me.setStatus("busy");
