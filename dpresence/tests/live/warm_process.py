"""The process of ``warm`` that imports the service and forks; it ends when its standard input does.

Its children share the keys of the development issuer and the tables of SQLite, the first line of standard input.
"""

from __future__ import annotations

import dpresence.server  # first: it patches the standard library

# isort: split
import atexit
import base64
import gc
import importlib
import inspect
import json
import os
import pkgutil
import sys
from contextlib import ExitStack
from typing import Any, NoReturn

import plaster.loaders
import plaster_pastedeploy  # noqa: F401
import pyramid.scripts.pserve  # noqa: F401
import pyramid_jinja2  # noqa: F401
from gevent.monkey import get_original

import dpresence.tests.live.echo_server
from dpresence import web_addresses
from dpresence.tests import shared_tables
from dpresence.tests.shared_start import CACHED_FILES, shared_keys, without_certificates, without_fsync
from dpresence.views import static


def _serve() -> dict[str, Any]:
    """Carry out the orders of standard input; return the order in the child that is to carry it out."""
    fork, waitpid = get_original("os", ("fork", "waitpid"))
    while line := sys.stdin.readline():
        order: dict[str, Any] = json.loads(line)
        if pid := order.get("ended"):
            done, status = waitpid(pid, os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if done else None
        else:
            answer = fork()
            if answer == 0:
                return order
        print(json.dumps(answer), flush=True)
    sys.exit()


def _become(order: dict[str, Any]) -> None:
    """Take over the arguments, the files, the folder and the environment of an order."""
    sys.argv = order["arguments"]
    sys.orig_argv = [sys.executable, *sys.argv]
    writing = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    for number, path, flags in ((0, os.devnull, os.O_RDONLY), (1, order["output"], writing), (2, order["log"], writing)):
        file = os.open(path, flags, 0o644)
        os.dup2(file, number)
        os.close(file)
    os.chdir(order["folder"])
    os.environ.clear()
    os.environ.update(order["environment"])
    if CACHED_FILES in os.environ:
        static.REVALIDATED = "public, max-age=3600"  # all that a test reloads is of one version


def _prepare() -> None:
    """Import all that a start imports, and do what has the same result at every start."""
    for module in pkgutil.walk_packages(dpresence.__path__, "dpresence."):
        if not module.name.startswith(("dpresence.tests", "dpresence.backends.sql.migrations")):
            importlib.import_module(module.name)
    web_addresses.load()
    inspect.stack()  # pyramid_jinja2 calls it, and the first call looks at every module
    found = plaster.loaders.find_loaders("file+ini", protocols=["wsgi"])  # reads the metadata of every installed package
    plaster.loaders.find_loaders = lambda *_, **__: found
    gc.freeze()  # or each child copies the memory when it looks through it


def _run(module: str) -> NoReturn:
    """Call the ``main()`` of a module, and end without clearing away each object, which takes as long as to serve some requests."""
    try:
        status: Any = importlib.import_module(module).main()
    except SystemExit as end:
        status = end.code
    if isinstance(status, str):
        print(status, file=sys.stderr)
        status = 1
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status or 0)


if __name__ == "__main__":
    _prepare()
    _revision, _serialized = json.loads(sys.stdin.readline())
    _made = _revision, base64.b64decode(_serialized)
    shared_tables.made = lambda: _made
    with ExitStack() as _stack:
        for _shared in (shared_tables.shared_tables(), shared_keys(), without_certificates(), without_fsync()):
            _stack.enter_context(_shared)
        _order = _serve()
        _become(_order)
        _run(_order["module"])
