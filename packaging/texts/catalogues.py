"""Writes the catalogues of the pages' texts, ``dpresence/languages/*.po``, from the sources; new entries are empty.

``make texts`` writes them; ``--check``, which ``make check`` calls, compares them, and fails for a text that a template holds outside of
the catalogue, for a missing translation, and for one whose places or tags differ.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

from babel.messages import Catalog, Message
from babel.messages.extract import DEFAULT_KEYWORDS, extract
from babel.messages.pofile import read_po, write_po
from jinja2.ext import babel_extract

sys.path.insert(0, str(Path(__file__).parent))
from literals import literals

ROOT = Path(__file__).resolve().parents[2]
LANGUAGES = "dpresence/languages"
SOURCES: dict[str, Any] = {
    "dpresence/templates/*.jinja2": babel_extract,
    "dpresence/static/*.js": "javascript",
    "dpresence/views/*.py": "python",
}
KEYWORDS = {**DEFAULT_KEYWORDS, "parts": None}
MARKS = re.compile(r"%\(\w+\)s|</?[a-z]+|(?<=[ ])[a-z-]+=\"[^\"]*\"|\"")


def files(pattern: str) -> list[Path]:
    """Return the sources that match a pattern, without the client library, which speaks to developers."""
    return sorted(path for path in ROOT.glob(pattern) if not path.name.startswith("presence"))


def extracted() -> Catalog:
    """Return the texts of all sources."""
    catalog = Catalog()
    for pattern, method in SOURCES.items():
        for path in files(pattern):
            with path.open("rb") as opened:
                for _, message, _, _ in extract(method, opened, KEYWORDS, options={"newstyle_gettext": "true"}):
                    catalog.add(message, locations=[(path.relative_to(ROOT).as_posix(), 0)])
    return catalog


def written(file: Path, template: Catalog) -> str:
    """Return a catalogue with the texts of the sources: the header of the file stays, and so do translations of texts that are left."""
    header = file.read_text(encoding="utf-8").partition("\n\n")[0]
    known, catalog = read(file), read_po(StringIO(header))
    for message in template:
        if message.id:
            before = known.get(message.id[0] if isinstance(message.id, list | tuple) else message.id)
            catalog.add(message.id, before.string if before else "", message.locations)
    body = BytesIO()
    write_po(body, catalog, width=0, omit_header=True, sort_output=True, include_lineno=False)
    return f"{header}\n\n{body.getvalue().decode()}"


def read(file: Path) -> Catalog:
    """Return a catalogue."""
    with file.open("rb") as opened:
        return read_po(opened)


def faults(message: Message) -> Iterator[str]:
    """Return what is wrong with a translation."""
    ids = message.id if isinstance(message.id, list | tuple) else (str(message.id),)
    strings = message.string if isinstance(message.string, list | tuple) else (str(message.string),)
    if not all(strings) or message.fuzzy:
        yield "is not translated"
        return
    expected = sorted(MARKS.findall(ids[-1]))
    for string in strings:
        found = sorted(MARKS.findall(string))
        if found != expected and not (len(ids) > 1 and set(expected) - set(found) <= {"%(num)s"} and set(found) <= set(expected)):
            yield f"has other places or tags: {string}"


def problems(folder: Path) -> Iterator[str]:
    """Return everything that ``--check`` finds."""
    for path in files("dpresence/templates/*.jinja2"):
        for line, text in literals(path):
            yield f"{path.relative_to(ROOT)}:{line}: a text outside of the catalogue: {text}"
    template = extracted()
    for file in sorted((folder / LANGUAGES).glob("*.po")):
        if file.read_text(encoding="utf-8") != written(file, template):
            yield f"{file.relative_to(folder)} differs from the sources: `make texts` writes it"
        for message in read(file):
            if message.id:
                yield from (f"{file.relative_to(folder)}: {message.id!r} {fault}" for fault in faults(message))


def main(arguments: list[str]) -> int:
    """Write the catalogues, or check them; return 1 if there is a problem."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare the files and write nothing")
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT, help="the repository")
    options = parser.parse_args(arguments)
    if options.check:
        found = list(problems(options.folder))
        sys.stderr.writelines(f"{one}\n" for one in found)
        return 1 if found else 0
    template = extracted()
    for file in (options.folder / LANGUAGES).glob("*.po"):
        file.write_text(written(file, template), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
