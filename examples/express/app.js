// The web site of a club: its members see who is reachable now, and send each other notifications through dpresence.

import { readFileSync } from "node:fs";
import { randomBytes } from "node:crypto";
import cookieSession from "cookie-session";
import { AppService, Refused } from "dpresence-client";
import { FileStore } from "dpresence-client/file-store";
import express from "express";
import { Live } from "./live.js";
import { Members } from "./members.js";
import { page } from "./page.js";

const NOT_FOUND = 110;
const config = JSON.parse(readFileSync("presence.json", "utf8"));
const site = `http://${config.domain}`;
const members = new Members("members.json");
const presence = new AppService({ url: config.service, appid: config.appid, key: config.key, store: new FileStore("table.json") });
const live = new Live(presence, members);

const app = express();
app.use((request, response, next) => {
  // Keeps browsers on one host, that of the session cookie, and refuses forms of other sites.
  if (request.headers.host !== config.domain) return response.redirect(site);
  if (request.method === "POST" && (request.headers.origin ?? site) !== site) return response.sendStatus(403);
  return next();
});
app.use(express.static(new URL("public", import.meta.url).pathname));
app.use(cookieSession({ name: "club", secret: config.session_secret, sameSite: "lax" }));
app.use(express.urlencoded());

/** Return the message for a member on the next page, once. */
function takeMessage(session) {
  const { message } = session;
  delete session.message;
  return message;
}

/** Answer with a redirect to the page of the members, and a message on it. */
function goBack(request, response, message) {
  if (message) request.session.message = message;
  response.redirect(303, "/");
}

// Proves to dpresence that this domain belongs to the application; it looks again every week.
app.get("/__presence", (request, response) => response.type("text/plain").send(config.domain_key));

app.get("/", (request, response) => {
  const { name } = request.session;
  response.send(page({ name, joined: name !== undefined && members.puid(name) !== undefined, service: config.service, message: takeMessage(request.session) }));
});

// Signs in. Your own accounts take the place of this.
app.post("/enter", (request, response) => {
  const name = String(request.body?.name ?? "").trim().slice(0, 40);
  if (name) request.session.name = name;
  goBack(request, response);
});

app.post("/leave", (request, response) => {
  request.session = null;
  response.redirect(303, "/");
});

// From here on, only for members.
app.use((request, response, next) => (request.session.name === undefined ? response.sendStatus(403) : next()));

// Sends the member to the page of dpresence that asks them whether this club may see them.
app.post("/ask", (request, response) => {
  request.session.state = randomBytes(16).toString("base64url");
  const back = `${site}/back?${new URLSearchParams({ state: request.session.state })}`;
  response.redirect(303, `${config.service}/grant/${config.appid}?${new URLSearchParams({ redirect: back })}`);
});

// Takes the answer. `state` shows that this member asked: without it, a link could give them the PUID of somebody else.
app.get("/back", (request, response) => {
  const { name, state } = request.session;
  delete request.session.state;
  if (!state || request.query.state !== state) {
    return response.status(400).send("This answer does not belong to a question of yours. Please ask again.");
  }
  const puid = request.query["Presence-UID"];
  if (typeof puid !== "string") return goBack(request, response, "The club does not see when you're online.");
  for (const changed of members.join(name, puid)) live.publish(changed);
  return goBack(request, response);
});

// Streams the statuses of all members, then each change (server-sent events). The browser reconnects by itself.
app.get("/events", (request, response) => live.stream(response));

// Sends a member a notification.
app.post("/greet", async (request, response) => {
  const name = String(request.body?.name);
  const puid = members.puid(name);
  if (puid === undefined) return response.sendStatus(404);
  try {
    const { delivered } = await presence.notify(puid, `${request.session.name} says hello`, { action: `${site}/` });
    return goBack(request, response, delivered ? `Sent to ${name}.` : `${name} gets it as soon as they are back.`);
  } catch (error) {
    if (!(error instanceof Refused && error.errno === NOT_FOUND)) return goBack(request, response, `Not sent: ${error.message}`);
    members.forget(puid); // revoked a moment ago
    return goBack(request, response, `${name} cannot be reached any more.`);
  }
});

app.listen(Number(config.domain.split(":")[1]), "127.0.0.1", (error) => {
  if (error) throw error;
  console.log(`The club is at ${site}`);
});
live.run().catch((error) => console.error(`the club does not see its members any more: ${error.message}`));
