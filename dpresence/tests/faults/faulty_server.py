"""The echo server with a fault in any method of a channel's path, once, when ``/arm`` names it: ``?<exception>&<name>..``."""

from __future__ import annotations

from dpresence.tests.live import echo_server  # first: it patches the standard library

# isort: split
import functools
import json

from dpresence.tests.faults.methods import KINDS, MODULES, functions


class FaultyApp(echo_server.App):
    """Also counts the ends of channels; ``armed`` is the fault to come."""

    def page_arm(self, environ):
        kind, *names = environ["QUERY_STRING"].split("&")
        self.armed = dict.fromkeys(names, KINDS[kind])
        return "200 OK", b"armed"

    def page_armed(self, environ):
        return "200 OK", json.dumps(list(self.armed)).encode()


class FaultyEcho(echo_server.Echo):
    """Counts the calls of ``closed``."""

    ends = 0

    def closed(self, code, clean):
        self.ends += 1
        assert self.ends == 1, "ended twice"
        super().closed(code, clean)


def _install(app):
    def faulty(name, function):
        @functools.wraps(function)
        def call(*arguments, **options):
            if name in app.armed:
                raise app.armed.pop(name)(f"in {name}")
            return function(*arguments, **options)

        return call

    for name, owner, attribute, item in list(functions()):
        if isinstance(item, property):
            setattr(owner, attribute, property(faulty(name, item.fget)))
        else:
            setattr(owner, attribute, faulty(name, item))
            for module in MODULES:  # what another module imported by name
                if vars(module).get(attribute) is item:
                    setattr(module, attribute, vars(owner)[attribute])


def main():
    echo_server.Echo = FaultyEcho
    echo_server.App = FaultyApp
    made = FaultyApp.__init__

    def make(app, settings):
        made(app, settings)
        app.armed = {}
        app.gate.workers._max_idle = 0  # each piece of work begins anew
        _install(app)

    FaultyApp.__init__ = make
    echo_server.main()


if __name__ == "__main__":
    main()
