"""A real server with an echo channel, run as a process: ``python -m dpresence.tests.live.echo_server '{"channels": {..}}'``.

The argument overrides settings by concern; it serves on a free port of loopback and logs where. What the channel sends
back besides echoes, and the pages, are named after what a test wants to see.
"""

from __future__ import annotations

from dpresence import server  # first: it patches the standard library

# isort: split
import contextlib
import dataclasses
import json
import logging
import os
import sys
import time

import gevent
import gevent.event

from dpresence.channels.connection import Channel, FrameLimits
from dpresence.channels.frames import binary_frame, text_frame
from dpresence.channels.handshake import Gate
from dpresence.clock import Clock
from dpresence.errors import BackendUnavailable
from dpresence.metrics import Metrics
from dpresence.settings import ServerSettings, Settings


class Echo(Channel):
    """Sends everything back; a few words make it do more."""

    limits = None  # each has its own

    def __init__(self, limits, app):
        self.limits = limits
        self.app = app

    def opened(self, connection):
        self.connection = connection
        self.app.opened += 1

    def try_message(self, payload, now):
        """Handle one word in the hub."""
        return text_frame(payload) if payload == b"quick" else None

    def message(self, text):
        word, _, rest = text.partition(" ")
        act = getattr(self, f"do_{word}", None)
        if act is None:
            self.connection.send(text.encode())
        else:
            act(*rest.split())

    def binary(self, data):
        self.connection.send_frame(binary_frame(data))

    def closed(self, code, clean):
        self.app.closed[self.connection.id] = [code, clean]
        self.connection.defer(self._leave)

    def _leave(self):
        gevent.sleep(0)
        self.app.left += 1

    def tick(self):
        self.app.ticks += 1
        return 0.0  # again in the next round

    def do_id(self):
        self.connection.send(self.connection.id.encode())

    def do_close(self, code, *reason):
        self.connection.close(int(code), " ".join(reason))

    def do_abort(self):
        self.connection.abort()

    def do_raise(self):
        raise RuntimeError("a bug in a channel")

    def do_signin(self):
        self.connection.signed_in()
        self.connection.send(b"signed in")

    def do_slowly(self, seconds):
        self.connection.defer(lambda: self._slowly(float(seconds)))

    def _slowly(self, seconds):
        gevent.sleep(seconds)
        self.connection.send(b"slowly done")

    def do_hold(self):
        self.connection.defer(self._hold)

    def _hold(self):
        self.app.released.wait()
        self.connection.send(b"released")

    def do_release(self):
        self.app.released.set()

    def do_suspend(self, seconds):
        self.connection.suspend()
        gevent.spawn_later(float(seconds), gevent.get_hub().loop.run_callback, self.connection.resume, self.connection.send, b"resumed")

    def do_wait(self, seconds):
        gevent.sleep(float(seconds))
        self.connection.send(b"waited")

    def do_pour(self, count, size):
        for _ in range(int(count)):
            self.connection.send(b"x" * int(size))

    def do_drain(self, count, size):
        self.connection.defer(lambda: self._drain(int(count), int(size)))

    def _drain(self, count, size):
        for _ in range(count):
            self.connection.send(b"x" * size)
            self.connection.drain()
        self.app.drained = True

    def do_marked(self):
        self.connection.when_sent(lambda: None)

    def do_tell(self, *words):
        frame = text_frame(" ".join(words).encode())
        for connection in self.app.gate.connections:
            connection.send_frame(frame)


class Text(Echo):
    """Wants no binary messages."""

    def binary(self, data):
        return Channel.binary(self, data)


class Body(list):
    """A response's iterable that wants to be closed."""

    def __init__(self, app, body):
        super().__init__([body])
        self.app = app

    def close(self):
        self.app.bodies += 1


class App:
    """The WSGI application, and the parts the server looks for."""

    def __init__(self, settings):
        self.development_token = None
        self.settings = settings
        self.clock = Clock()
        self.gate = Gate(settings, self.clock, Metrics(self.clock))
        self.gate.direct_channels["/echo"] = lambda: Echo(self.limits(), self)
        self.registry = {"dpresence": self}
        self.background = self.services = self
        self.log = []
        self.closed = {}
        self.opened = self.left = self.ticks = self.bodies = self.viewed = 0
        self.drained = False
        self.gap = 0.0
        self.released = gevent.event.Event()

    def start(self):
        gevent.spawn(self._watch)

    def stop(self):
        print("background stopped", flush=True)

    def finish(self):
        """Have nothing to tell."""

    def apply_changes(self):
        """Have no changes of the operator's command."""

    def close(self):
        print("closed", json.dumps({"closed": self.closed, "left": self.left}), flush=True)

    def _watch(self):
        """Note the longest computation for which nobody else had a turn, in CPU seconds: the machine may stand still meanwhile."""
        while True:
            before = time.thread_time()
            gevent.sleep(0.005)
            self.gap = max(self.gap, time.thread_time() - before)

    def __call__(self, environ, start_response):
        name = environ["PATH_INFO"].strip("/")
        if name == "torn":
            start_response("200 OK", [("Content-Type", "text/plain")])
            return self._torn()
        status, body = getattr(self, f"page_{name}", self.page_unknown)(environ)
        start_response(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
        return Body(self, body)

    def limits(self):
        channels = self.settings.channels
        return FrameLimits(channels.device_frame_bytes, channels.device_frame_rate, channels.device_frame_burst, channels.fragments)

    def page_echo(self, environ):
        return self._open(environ, Echo)

    def page_text(self, environ):
        return self._open(environ, Text)

    def _open(self, environ, kind):
        self.viewed += 1
        if "wsgi.websocket" not in environ:
            return "400 Bad Request", b"no websocket"
        environ["wsgi.websocket"].open(kind(self.limits(), self))
        return "200 OK", b""

    def page_failing(self, environ):
        environ["wsgi.websocket"].open(Echo(self.limits(), self))
        return "503 Service Unavailable", b"after all not"

    def page_page(self, environ):
        return "200 OK", b"a page"

    def page_unknown(self, environ):
        return "404 Not Found", b"no such page"

    def page_body(self, environ):
        return "200 OK", environ["wsgi.input"].read()

    def page_client(self, environ):
        return "200 OK", f"{environ['REMOTE_ADDR']} {environ['wsgi.url_scheme']}".encode()

    def _torn(self):
        """Yield half of a body, and fail as a backend that is away."""
        yield b"a half"
        raise BackendUnavailable

    def page_long(self, environ):
        return "200 OK", b"x" * 50_000_000

    def page_bug(self, environ):
        raise RuntimeError("a bug in a view")

    def page_eat(self, environ):
        """Open files until there are no more, and keep them for as many seconds as the query says."""
        seconds, eaten = float(environ["QUERY_STRING"]), []
        with contextlib.suppress(OSError):
            while True:
                eaten.append(os.open(os.devnull, os.O_RDONLY))
        gevent.spawn_later(seconds, lambda: [os.close(file) for file in eaten])
        return "200 OK", str(len(eaten)).encode()

    def page_stats(self, environ):
        gap, self.gap = self.gap, 0.0
        with open("/proc/self/smaps_rollup") as file:
            pss = next(int(line.split()[1]) for line in file if line.startswith("Pss:"))
        gate = self.gate
        stats = {
            "opened": self.opened,
            "left": self.left,
            "closed": self.closed,
            "ticks": self.ticks,
            "drained": self.drained,
            "bodies": self.bodies,
        }
        stats |= {"errors": dict(gate.metrics.errors), "viewed": self.viewed}
        stats |= {"gap": gap, "pss": pss, "cpu": time.process_time(), "files": len(os.listdir("/proc/self/fd"))}
        stats |= {"connections": len(gate.connections), "plain": len(gate.plain), "unsigned": sum(map(len, gate._not_signed_in.values()))}
        return "200 OK", json.dumps(stats).encode()


def settings_from(overrides):
    settings = Settings()
    for concern, values in overrides.items():
        values = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
        settings = dataclasses.replace(settings, **{concern: dataclasses.replace(getattr(settings, concern), **values)})
    return settings


def app_factory(global_config, **ini):
    """paste.app_factory, for a run under pserve."""
    print("building", flush=True)
    gevent.sleep(float(ini.get("sleep", 0)))
    return App(settings_from(json.loads(ini.get("overrides", "{}"))))


def main():
    overrides = json.loads(sys.argv[1] if len(sys.argv) > 1 else "{}")
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
    own = overrides.pop("server", {})
    Gate.TICK_SECONDS = overrides.pop("interval", 1.0)
    server.serve(App(settings_from(overrides)), ServerSettings(port=own.pop("port", 0), **own))


if __name__ == "__main__":
    main()
