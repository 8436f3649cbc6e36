"""The house has levels: nothing imports upwards or sideways, and a technology is known by the file named after it alone.

Imports that are for the type checker only count as well: what must not be called must not be leaned on either.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2]
LEVELS = (
    ("errors", "model", "clock", "texts", "lookalikes", "origins", "networks"),
    ("ini", "ini_file", "settings", "messages", "limits", "slots", "tasks", "files", "domains", "logs", "metrics", "private", "outbound"),
    ("backends", "identity", "proofs"),
    ("hub",),
    ("service",),
    ("registry", "request"),
    ("channels", "views"),
    ("app", "background"),
    ("", "server", "listener", "supervisor", "worker", "renewal", "command", "pserve", "demo"),
)
LEVEL = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}

SIDEWAYS = {  # within a level: who may lean on whom
    ("model", "errors"),
    ("texts", "lookalikes"),
    ("ini", "settings"),
    ("ini_file", "ini"),
    ("messages", "settings"),
    ("limits", "settings"),
    ("request", "registry"),
    ("app", "background"),
    ("server", ""),
    ("server", "supervisor"),
    ("server", "listener"),
    ("listener", "worker"),
    ("server", "worker"),
    ("server", "renewal"),
    ("server", "pserve"),
    ("renewal", "worker"),
    ("", "worker"),
    ("supervisor", "worker"),
    ("command", ""),
    ("demo", ""),
}
COMPOSITION = {"app", "server", "command", "demo"}
"""The modules that put the parts together, and so know implementations."""
DRIVERS = {
    "sqlalchemy": {"sql"},
    "alembic": {"sql"},
    "redis": {"redis"},
    "browserid": {"browserid", "development"},
    "cryptography": {"browserid", "development", "oidc"},
    "jwt": {"oidc"},
    "geventwebsocket": {"channels", "listener"},
    "pyramid": {"channels", "views", "app", "pserve", "request"},
    "cornice": {"views", "app"},
}


def modules() -> Iterator[tuple[str, Path]]:
    """Return the dotted names, without ``dpresence``, and files of every module that is not a test."""
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        if parts[0] != "tests":
            yield ".".join(part for part in parts if part != "__init__"), path


MODULES = dict(modules())


def imports(name: str, path: Path) -> Iterator[str]:
    """Return what a module imports: dotted names without ``dpresence`` for ours, ``=name`` for everybody else's."""
    package = name.split(".") if path.name == "__init__.py" and name else name.split(".")[:-1] if name else []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (_of_us(alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield _of_us(node.module or "")
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1]
            whole = [*base, *(node.module or "").split(".")] if node.module else base
            for alias in node.names:
                inner = ".".join([*whole, alias.name])
                yield inner if inner in MODULES else ".".join(whole)


def _of_us(name: str) -> str:
    return name.removeprefix("dpresence").lstrip(".") if name.split(".")[0] == "dpresence" else f"={name}"


def room(name: str) -> str:
    return name.split(".")[0]


def ours() -> Iterator[tuple[str, str]]:
    for name, path in MODULES.items():
        for imported in imports(name, path):
            if not imported.startswith("=") and imported != name:
                yield name, imported


def test_every_module_has_a_level() -> None:
    assert {room(name) for name in MODULES} <= set(LEVEL)


def test_no_import_points_up_or_sideways() -> None:
    for name, imported in ours():
        here, there = room(name), room(imported)
        allowed = here == there or imported == "" or LEVEL[there] < LEVEL[here] or (here, there) in SIDEWAYS
        assert allowed, f"{name} imports {imported}"


def test_the_imports_are_found() -> None:
    found = set(ours())
    assert {("errors", "model")} & found == set()
    assert {("service.grants", "backends.directory"), ("channels.device", "service"), ("app", "background"), ("views", "messages")} <= found
    assert ("channels.gate", "channels.connection") in found  # one for the type checker only
    assert "=sqlalchemy" in set(imports("backends.directory.sql", MODULES["backends.directory.sql"]))


def test_a_role_imports_no_other_role() -> None:
    roles = ("directory", "tracker", "mailbox")
    for name, imported in ours():
        here, there = name.split("."), imported.split(".")
        if here[0] == there[0] == "backends" and len(here) > 1 and len(there) > 1 and here[1] in roles and there[1] in roles:
            assert here[1] == there[1], f"{name} imports {imported}"


def test_the_shared_sql_is_for_files_named_after_it() -> None:
    for name, imported in ours():
        if imported.startswith("backends.sql"):
            parts = name.split(".")
            assert "sql" in parts or name == "backends", f"{name} imports {imported}"


def test_only_what_puts_the_parts_together_knows_an_implementation() -> None:
    implementations = {"sql", "redis", "memory", "browserid", "oidc", "development"}
    for name, imported in ours():
        parts = imported.split(".")
        if parts[0] in ("backends", "identity") and implementations & set(parts[1:]):
            same_room = room(name) == parts[0]
            assert same_room or room(name) in COMPOSITION, f"{name} imports {imported}"


def test_the_service_knows_abstract_bases_only() -> None:
    allowed = {"backends", "backends.directory", "backends.tracker", "backends.mailbox", "identity", "proofs"}
    for name, imported in ours():
        if room(name) == "service" and LEVEL[room(imported)] == 2:
            assert imported in allowed, f"{name} imports {imported}"


def test_channels_and_views_know_neither_each_other_nor_a_backend() -> None:
    for name, imported in ours():
        if room(name) in ("channels", "views"):
            assert room(imported) not in {"channels", "views", "backends"} - {room(name)}, f"{name} imports {imported}"


def test_only_the_file_named_after_a_technology_imports_its_driver() -> None:
    for name, path in MODULES.items():
        for imported in imports(name, path):
            driver = imported.removeprefix("=").split(".")[0] if imported.startswith("=") else ""
            if driver in DRIVERS:
                assert DRIVERS[driver] & set(name.split(".")), f"{name} imports {driver}"


def test_the_package_itself_imports_nothing_that_the_server_must_patch_first() -> None:
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    top = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    assert {node.module for node in top if isinstance(node, ast.ImportFrom)} <= {"__future__", "typing"}
    assert [alias.name for node in top if isinstance(node, ast.Import) for alias in node.names] == ["sys"]
