"""Writes ``docs/api/openapi.json`` and ``docs/api/asyncapi.json``, the documents of a service with the default settings.

``make api`` writes them; ``--check``, which ``make check`` calls, only compares them. ``docs/api/released`` has those of the last
release, with which a test compares them; ``--release`` replaces these.
"""

from __future__ import annotations

import argparse
import json
import sys
from difflib import unified_diff
from pathlib import Path

from dpresence import __version__
from dpresence.contract import Contract
from dpresence.settings import IdentitySettings, Settings

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "api"
AUDIENCE = "https://presence.example.org"


def generate() -> dict[str, str]:
    """Return the text of each file, by its name."""
    contract = Contract(Settings(identity=IdentitySettings(audience=AUDIENCE)), __version__)
    documents = {"openapi.json": contract.openapi, "asyncapi.json": contract.asyncapi}
    return {name: json.dumps(document.content, indent=1, ensure_ascii=False) + "\n" for name, document in documents.items()}


def main(arguments: list[str]) -> int:
    """Write the files, or compare them; return 1 if one differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare the files and write nothing")
    parser.add_argument("--release", action="store_true", help="also write the documents of the last release")
    parser.add_argument("folder", nargs="?", type=Path, default=FOLDER, help="the folder of the files")
    options = parser.parse_args(arguments)
    differing = 0
    for name, text in generate().items():
        path = options.folder / name
        if options.release:
            (options.folder / "released" / name).write_text(json.dumps(json.loads(text)) + "\n", encoding="utf-8")
        present = path.read_text(encoding="utf-8") if path.exists() else ""
        if options.check and present != text:
            sys.stderr.writelines(unified_diff(present.splitlines(True), text.splitlines(True), name, "as generated"))
            sys.stderr.write(f"docs/api/{name} is stale: `make api` writes it\n")
            differing = 1
        elif not options.check:
            path.write_text(text, encoding="utf-8")
    return differing


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
