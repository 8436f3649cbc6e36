"""Imports: no module imports from a higher level or across roles, and only the files named after a technology import its driver.

The levels and the drivers are read from docs/architecture.md. Imports for the type checker only count as well.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2]
ARCHITECTURE = (PACKAGE.parent / "docs" / "architecture.md").read_text(encoding="utf-8")


def table(heading: str) -> list[tuple[list[str], list[str]]]:
    """Return the rows of a table in docs/architecture.md with two columns, as the names in backquotes of each column."""
    rows = ARCHITECTURE.partition(f"| {heading} |")[2].partition("\n\n")[0].splitlines()[2:]
    cells = [row.strip("|").split("|") for row in rows]
    return [(re.findall(r"`(\w+)`", first), re.findall(r"`(\w+)`", second)) for first, second in cells]


LEVELS = [names for _, names in table("level | modules")]
LEVEL = {name.replace("__init__", ""): level for level, names in enumerate(LEVELS) for name in names}
DRIVERS = {driver: set(importers) for drivers, importers in table("driver | modules or folders that import it") for driver in drivers}
ANYWHERE = {"gevent", "msgspec"}

SIDEWAYS = {  # within a level: importer and imported module
    ("model", "errors"),
    ("texts", "confusables"),
    ("abbreviations", "suffixes"),
    ("suffixes", "confusables"),
    ("web_addresses", "abbreviations"),
    ("web_addresses", "confusables"),
    ("web_addresses", "suffixes"),
    ("ini", "settings"),
    ("ini_file", "ini"),
    ("messages", "settings"),
    ("limits", "settings"),
    ("slots", "logs"),
    ("outbound", "targets"),
    ("public_fetcher", "outbound"),
    ("public_fetcher", "settings"),
    ("metrics", "messages"),
    ("exposition", "metric_families"),
    ("exposition", "metrics"),
    ("runtime", "tasks"),
    ("request", "registry"),
    ("app", "background"),
    ("app", "observation"),
    ("app", "sentry"),
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
    ("commands", ""),
    ("commands", "worker"),
    ("demo", ""),
}
COMPOSITION = {"app", "server", "commands", "demo"}
"""The modules that create the objects, and so import implementations."""


def modules() -> Iterator[tuple[str, Path]]:
    """Return the dotted names, without ``dpresence``, and files of every module that is not a test."""
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        if parts[0] != "tests":
            yield ".".join(part for part in parts if part != "__init__"), path


MODULES = dict(modules())


@cache
def imports(name: str, path: Path) -> tuple[str, ...]:
    """Return what a module imports: dotted names without ``dpresence`` for this package, ``=name`` for others."""
    return tuple(_imports(name, path))


def _imports(name: str, path: Path) -> Iterator[str]:
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


def top(name: str) -> str:
    """Return the part of a module's name that has a level."""
    return name.split(".")[0]


def ours() -> Iterator[tuple[str, str]]:
    """Yield each import of a module of this package by another: the importer and the imported module."""
    for name, path in MODULES.items():
        for imported in imports(name, path):
            if not imported.startswith("=") and imported != name:
                yield name, imported


def test_the_documented_levels_and_the_modules_are_the_same() -> None:
    assert len(LEVELS) == 9
    assert {top(name) for name in MODULES} == set(LEVEL)


def test_no_import_points_up_or_sideways() -> None:
    for name, imported in ours():
        here, there = top(name), top(imported)
        allowed = here == there or imported == "" or LEVEL[there] < LEVEL[here] or (here, there) in SIDEWAYS
        assert allowed, f"{name} imports {imported}"


def test_no_imports_form_a_circle() -> None:
    importers: dict[str, set[str]] = {name: set() for name in MODULES}
    for name, imported in ours():
        importers[name].add(imported)
    TopologicalSorter(importers).prepare()  # raises CycleError


def test_the_imports_are_found() -> None:
    found = set(ours())
    assert {("errors", "model")} & found == set()
    assert {("service.grants", "backends.directory"), ("channels.base", "service"), ("app", "background"), ("views", "messages")} <= found
    assert ("app", "identity.development_token") in found  # one for the type checker only
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


def test_only_the_modules_that_create_the_objects_import_an_implementation() -> None:
    implementations = {"sql", "redis", "memory", "browserid", "browserid_keys", "oidc", "development"}
    for name, imported in ours():
        parts = imported.split(".")
        if parts[0] in ("backends", "identity") and implementations & set(parts[1:]):
            same_part = top(name) == parts[0]
            assert same_part or top(name) in COMPOSITION, f"{name} imports {imported}"


def test_the_service_knows_abstract_bases_only() -> None:
    allowed = {
        "backends",
        "backends.directory",
        "backends.tracker",
        "backends.mailbox",
        "identity",
        "mail",
        "proofs",
        "push",
        "webhook_requests",
    }
    for name, imported in ours():
        if top(name) == "service" and LEVEL[top(imported)] == 2:
            assert imported in allowed, f"{name} imports {imported}"


def test_channels_and_views_know_neither_each_other_nor_a_backend() -> None:
    for name, imported in ours():
        if top(name) in ("channels", "views"):
            assert top(imported) not in {"channels", "views", "backends"} - {top(name)}, f"{name} imports {imported}"


def driver_imports() -> Iterator[tuple[str, str]]:
    """Yield module and driver for every import of another library, and of modules of the standard library in the table."""
    for name, path in MODULES.items():
        for imported in imports(name, path):
            driver = imported.removeprefix("=").split(".")[0] if imported.startswith("=") else ""
            if driver in DRIVERS or (driver and driver not in sys.stdlib_module_names | ANYWHERE | {"_typeshed"}):
                yield name, driver


def test_only_the_files_named_after_a_technology_import_its_driver() -> None:
    for name, driver in driver_imports():
        assert driver in DRIVERS, f"{name} imports {driver}, which docs/architecture.md does not list"
        assert DRIVERS[driver] & set(name.split(".")), f"{name} imports {driver}"


def test_the_documented_drivers_are_in_use_where_the_table_says() -> None:
    used = set(driver_imports())
    assert {driver for _, driver in used} == set(DRIVERS)
    for drivers, importers in table("driver | modules or folders that import it"):
        parts = {part for name, driver in used if driver in drivers for part in name.split(".")}
        assert set(importers) <= parts, f"{importers} do not all import {drivers}"


def test_the_package_itself_imports_nothing_that_the_server_must_patch_first() -> None:
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    top = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    assert {node.module for node in top if isinstance(node, ast.ImportFrom)} <= {"__future__", "typing", "build_info"}
    assert [alias.name for node in top if isinstance(node, ast.Import) for alias in node.names] == ["sys"]
