// Compiled in strict mode, never run: the types that programs in TypeScript get.

import { Account, AppService, Device, Refused, beginPairing, finishPairing } from "dpresence-client";
import type { Change, DeviceState, Grant, Hours, Notification, PairedDevice } from "dpresence-client";
import { FileStore } from "dpresence-client/file-store";

const app = new AppService({ url: "https://presence.example.org", appid: "a", key: "k", store: new FileStore("table.json") });
app.addEventListener("change", ({ detail }) => {
  const change: Change = detail;
  const origin: "update" | "replay" | "snapshot" = change.origin;
  console.log(change.puid, change.status, change.reason, change.at.toFixed(), origin);
});
app.addEventListener("current", () => console.log(app.current ? app.table.size.toFixed() : ""));
app.addEventListener("state", ({ detail }) => detail.state === "waiting" && console.log(detail.reason, detail.retryAt.toFixed()));
app.addEventListener("outcome", ({ detail }) => console.log(detail.id, detail.outcome, detail.at.toFixed()));
// @ts-expect-error there is no such event
app.addEventListener("changed", () => undefined);
// @ts-expect-error a key is required
new AppService({ url: "https://presence.example.org", appid: "a" });

export async function follow(): Promise<void> {
  await app.start();
  for await (const { puid, status } of app) console.log(puid, status, app.table.get(puid)?.at.toFixed());
  const { id, queueSize, delivered } = await app.notify("puid", "Your move", { action: "https://chess.example.org/g/7", ttl: 60 });
  console.log(id, queueSize.toFixed(), delivered === true);
  await app.cancel(await app.notify("puid", "Your move", { outcome: true }));
  for (const result of await app.notifyMany([{ puid: "p1" }])) console.log(result instanceof Refused ? result.errno.toFixed() : result.id);
}

const me = new Device({ email: "ada@example.org", url: "wss://presence.example.org/presence", signIn: async () => "an assertion" });
me.addEventListener("notification", ({ detail }) => {
  const notification: Notification = detail;
  console.log(notification.message, notification.sent.toFixed());
});
me.addEventListener("unread", ({ detail }) => console.log(detail.toFixed()));
me.addEventListener("cleared", ({ detail }) => console.log(detail.map((id) => id.toUpperCase())));
me.markRead("n_1", "n_2");
me.report("opened", "o_1");
// @ts-expect-error no such outcome
me.report("expired", "o_1");
me.addEventListener("state", ({ detail }) => {
  const state: DeviceState = detail;
  if (state.state === "stopped") console.log(state.code.toFixed(), state.reason);
});
me.setStatus("unavailable");
// @ts-expect-error no such status
me.setStatus("busy");

export async function show(account: Account): Promise<void> {
  const night: Hours = { zone: "Europe/Berlin", weekly: [{ days: ["sat", "sun"], from: "22:00", to: "07:00" }] };
  for (const { appid, name, sees, why, looks } of await account.grants()) {
    console.log(name, sees ?? "unknown", why.map(({ link, status }) => `${link}: ${status}`), looks.map(({ channel }) => channel.toFixed()));
    const changed: Grant = await account.changeGrant(appid, { shows: "reachable", hours: night, until: null });
    console.log(changed.grantedAt.toFixed(), changed.hours?.weekly[0]?.from);
  }
  const { notifications, unread } = await account.notifications();
  console.log(unread.toFixed(), await account.markRead(...notifications.filter(({ read }) => !read).map(({ id }) => id)));
  // @ts-expect-error no such value
  await account.changeGrant("a", { shows: "nothing" });
}

export async function pair(url: string): Promise<PairedDevice> {
  const codes = await beginPairing(url, "lamp", "Example lamp");
  console.log(codes.verificationUriComplete, codes.userCode, codes.expiresIn.toFixed());
  return await finishPairing(url, codes, { signal: AbortSignal.timeout(600_000) });
}
