"""The web site of a club: its members see who is reachable now, and send each other notifications through dpresence."""

from __future__ import annotations

import json
import logging
import secrets
import threading
from pathlib import Path
from urllib.parse import urlencode

from dpresence_client import AppService, FileStore, NotFound, PresenceError
from flask import Flask, Response, abort, flash, redirect, render_template, request, session, url_for
from live import Live
from members import Members

config = json.loads(Path("presence.json").read_text())
site = f"http://{config['domain']}"
members = Members("members.db")
access = config["service"], config["appid"], config["key"]
presence = AppService(*access, store=FileStore("table.json"), on_current=lambda _: live.publish(None))
live = Live(presence, members)

app = Flask(__name__)
app.secret_key = config["session_secret"]
app.config["SESSION_COOKIE_SAMESITE"] = "Lax"


@app.before_request
def refuse_other_sites():
    """Keep browsers on one host, that of the session cookie, and refuse forms of other sites."""
    if request.host != config["domain"]:
        return redirect(site)
    if request.method == "POST" and request.headers.get("Origin", site) != site:
        abort(403)


@app.get("/__presence")
def domain_key():
    """Prove to dpresence that this domain belongs to the application; it looks again every week."""
    return Response(config["domain_key"], content_type="text/plain")


@app.get("/")
def index():
    me = session.get("name")
    return render_template("index.html", me=me, joined=me is not None and members.puid(me) is not None, service=config["service"])


@app.post("/enter")
def enter():
    """Sign in. Your own accounts take the place of this."""
    name = request.form["name"].strip()[:40]
    if name:
        session["name"] = name
    return redirect(url_for("index"))


@app.post("/leave")
def leave():
    session.clear()
    return redirect(url_for("index"))


@app.post("/ask")
def ask():
    """Send the member to the page of dpresence that asks them whether this club may see them."""
    if "name" not in session:
        abort(403)
    session["state"] = secrets.token_urlsafe(16)
    back = f"{site}/back?{urlencode({'state': session['state']})}"
    return redirect(f"{config['service']}/grant/{config['appid']}?{urlencode({'redirect': back})}", 303)


@app.get("/back")
def back():
    """Take the answer. ``state`` shows that this member asked: without it, a link could give them the PUID of somebody else."""
    state = session.pop("state", "")
    if "name" not in session or not state or not secrets.compare_digest(state.encode(), request.args.get("state", "").encode()):
        abort(400, "This answer does not belong to a question of yours. Please ask again.")
    if puid := request.args.get("Presence-UID"):
        for name in members.join(session["name"], puid):
            live.publish(name)
    else:
        flash("The club does not see when you're online.")
    return redirect(url_for("index"))


@app.get("/events")
def events():
    """Stream the statuses of all members, then each change (server-sent events). The browser reconnects by itself."""
    if "name" not in session:
        abort(403)
    return Response(live.stream(), content_type="text/event-stream", headers={"Cache-Control": "no-store"})


@app.post("/greet")
def greet():
    """Send a member a notification."""
    name = request.form["name"]
    puid = members.puid(name)
    if "name" not in session or puid is None:
        abort(404)
    try:
        sent = presence.notify(puid, f"{session['name']} says hello", action=f"{site}/")
        flash(f"Sent to {name}." if sent.delivered else f"{name} gets it as soon as they are back.")
    except NotFound:  # revoked a moment ago
        members.forget(puid)
        flash(f"{name} cannot be reached any more.")
    except PresenceError as error:
        flash(f"Not sent: {error}")
    return redirect(url_for("index"))


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    threading.Thread(target=live.run, daemon=True).start()
    app.run(port=int(config["domain"].rpartition(":")[2]))
