"""Writes the ini files and ``docs/settings.md`` from the declarations in ``dpresence/settings`` and the templates in this folder.

``make settings`` writes them; ``--check``, which ``make check`` calls, only compares them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import Field
from difflib import unified_diff
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context

from dpresence.settings import IssuerSettings, ProviderSettings, ServerSettings
from dpresence.settings.catalog import documented, former_keys, keys, secrets
from dpresence.settings.environment import variable

ROOT = Path(__file__).resolve().parents[2]
FILES = ("presence.ini", "presence-cluster.ini", "development.ini", "docs/settings.md")
APP, SERVER = documented(), keys(ServerSettings, "")
UNITS = {"_seconds": " seconds", "_bytes": " bytes", "_rate": " per second", "_per_minute": " per minute", "_per_hour": " per hour"}

Fields = Mapping[str, Field[Any]]


def value_text(value: Any) -> str:
    """Return a value as it is written in an ini."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    return " ".join(value) if isinstance(value, tuple) else str(value)


@pass_context
def show(context: Context, *patterns: str) -> str:
    """Return the lines of an ini for the keys that match a pattern: meaning and value, in the order of the declarations.

    The value is the one of the template's ``values``, or the default.

    :raises ValueError: a pattern matches no key.
    """
    fields, values = {**APP, **SERVER}, context.get("values", {})
    unknown = {pattern for pattern in patterns if not any(fnmatchcase(key, pattern) for key in fields)} | set(values) - set(fields)
    if unknown:
        raise ValueError(f"no such keys: {', '.join(sorted(unknown))}")
    shown = [key for key in fields if any(fnmatchcase(key, pattern) for pattern in patterns)]
    text = {key: values.get(key, value_text(fields[key].default)) for key in shown}
    return "\n".join(f"# {fields[key].metadata['doc']}\n{key} = {text[key]}".rstrip() for key in shown)


def example(fields: Fields, values: Mapping[str, str]) -> str:
    """Return the keys of an issuer or a provider as comments of an ini, with the example's values or the defaults."""
    text = {key: values.get(field.name, value_text(field.default)) for key, field in fields.items()}
    return "\n".join(f"# {key} = {value}".rstrip() for key, value in text.items())


def allowed(key: str, field: Field[Any]) -> str:
    """Return the allowed values of a key, with the unit that its name ends with."""
    rules = field.metadata
    if rules["low"] is not None:
        unit = next((unit for suffix, unit in UNITS.items() if key.endswith(suffix)), "")
        return f"{rules['low']} to {rules['high']}{unit}"
    by_type = {"bool": "true, false", "str": "text", "tuple[str, ...]": "words"}
    return rules["allowed"] or ", ".join(rules["one_of"]) or by_type[str(field.type)]


def table(fields: Fields) -> str:
    """Return a table in Markdown with one row for each key."""
    rows = ["| key | default | allowed | meaning |", "|---|---|---|---|"]
    for key, field in fields.items():
        default = f"`{value_text(field.default)}`" if field.default not in ((), "") else "empty"
        rows.append(f"| `{key}` | {default} | {allowed(key, field)} | {field.metadata['doc']} |")
    return "\n".join(rows)


def generate() -> dict[str, str]:
    """Return the text of each file, by its path in the repository."""
    ini_only = [key for key, field in APP.items() if field.metadata["ini_only"]]
    loader = FileSystemLoader(Path(__file__).parent)
    # the text is no HTML
    templates = Environment(loader=loader, undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True)  # noqa: S701
    templates.globals |= {"show": show, "example": example, "table": table, "app": APP, "server": SERVER}
    templates.globals |= {"variable": variable, "secrets": secrets(), "ini_only": ini_only, "former_keys": former_keys()}
    templates.globals |= {"issuer": lambda name: keys(IssuerSettings, f"browserid.{name}")}
    templates.globals |= {"provider": lambda name: keys(ProviderSettings, f"oidc.{name}")}
    return {file: templates.get_template(f"{Path(file).name}.jinja2").render() for file in FILES}


def main(arguments: list[str]) -> int:
    """Write the files, or compare them; return 1 if one differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare the files and write nothing")
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT, help="the repository")
    options = parser.parse_args(arguments)
    differing = 0
    for file, text in generate().items():
        path = options.folder / file
        present = path.read_text(encoding="utf-8") if path.exists() else ""
        if options.check and present != text:
            sys.stderr.writelines(unified_diff(present.splitlines(True), text.splitlines(True), file, "as declared"))
            sys.stderr.write(f"{file} differs from the declared settings: `make settings` writes it\n")
            differing = 1
        elif not options.check:
            path.write_text(text, encoding="utf-8")
    return differing


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
