"""The documentation agrees with the code: links lead somewhere, and files, settings, errors, messages and labels that it names exist."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from dpresence.errors import CloseCode, Refused
from dpresence.settings import IssuerSettings, ProviderSettings, PushSettings, ServerSettings
from dpresence.settings.catalog import documented, former_keys, keys

ROOT = Path(__file__).resolve().parents[3]
DOCS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("examples/README.md"), *ROOT.glob("examples/*/README.md")])
PAGES = [path for path in DOCS if path.parent.name != "decisions" and path.name != "CHANGES.md"]
"""Documents that describe the present; the others are about the past."""
MESSAGES = [ROOT / "docs" / f"{name}.md" for name in ("operations", "reliability", "security", "identity", "scaling", "settings")]

ids = {"ids": lambda path: path.relative_to(ROOT).as_posix() if isinstance(path, Path) else None}


def prose(path: Path) -> str:
    """Return a document without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def spans(path: Path) -> list[str]:
    """Return the code spans of a document, on one line each."""
    return [" ".join(span.split()) for span in re.findall(r"(?<!`)`([^`]+)`(?!`)", prose(path))]


# -- links and pictures


def links(path: Path) -> list[str]:
    text = re.sub(r"`[^`\n]*`", "", prose(path).replace("[`", "[").replace("`]", "]"))
    return re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r"^\[[^\]]+\]: (\S+)$", text, re.MULTILINE)


@cache
def anchors(path: Path) -> set[str]:
    """Return the anchors of a document's headings, as GitHub names them."""
    found: dict[str, int] = {}
    for heading in re.findall(r"^#+ (.*)$", prose(path), re.MULTILINE):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
        name = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
        found[name] = found.get(name, -1) + 1
    return {name if not number else f"{name}-{number}" for name, most in found.items() for number in range(most + 1)}


@pytest.mark.parametrize("path", DOCS, **ids)
def test_every_link_leads_to_a_file_and_a_heading(path: Path) -> None:
    for link in links(path):
        file, _, anchor = link.partition("#")
        if not re.match(r"[a-z]+:", link):
            target = (path.parent / file).resolve() if file else path
            assert target.exists(), link
            assert not anchor or anchor in anchors(target), link


def test_the_links_are_found() -> None:
    assert "docs/architecture.md" in links(ROOT / "CONTRIBUTING.md")
    assert sum(len(links(path)) for path in DOCS) > 100
    assert "behind-a-tls-proxy" in anchors(ROOT / "docs" / "operations.md")


def test_every_picture_is_used() -> None:
    pictures = {path for path in (ROOT / "docs").rglob("*") if path.suffix in (".png", ".svg", ".jpg")}
    assert pictures == {(path.parent / link).resolve() for path in DOCS for link in links(path) if link.endswith((".png", ".svg", ".jpg"))}


# -- files and settings

SOURCE = re.compile(r"[\w./-]*\w\.(py|js|mjs|lua|jinja2|css|service)")
FOLDERS = ("dpresence", "bench", "packaging", "examples", "clients")
TRACKED = [path.relative_to(ROOT).as_posix() for folder in FOLDERS for path in (ROOT / folder).rglob("*.*")] + ["setup.py"]
NO_FILES = ("Node.js", "/js/presence.js", "/js/worker.js")
"""A name, and files of the prototype that docs/migration.md compares with."""


@pytest.mark.parametrize("path", PAGES, **ids)
def test_every_source_file_that_is_named_exists(path: Path) -> None:
    for span in spans(path):
        if SOURCE.fullmatch(span) and span not in NO_FILES:
            assert any(f"/{name}".endswith(f"/{span.lstrip('/')}") for name in TRACKED), span


def test_the_layout_names_every_module_of_the_package_and_no_other() -> None:
    layout = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8").partition("## Layout")[2].split("```")[1]
    named = set(re.findall(r"\b\w+\.py\b", layout))
    assert named <= {name.rpartition("/")[2] for name in TRACKED}
    assert {path.name for path in (ROOT / "dpresence").glob("*.py")} <= named


KEYS = {*documented(), *keys(ServerSettings, "")}
KEYS |= {*former_keys(), *keys(IssuerSettings, "browserid.x"), *keys(ProviderSettings, "oidc.x")}
PREFIXES = "mailbox.redis|redis|presence|identity|browserid|oidc|channels|outbound|push|admin"
SETTING = re.compile(rf"((?:{PREFIXES})\.[a-z0-9_<>.-]+)(?: = .*)?|(directory\.url|tracker|mailbox|host|port|workers) = .*")
FILE_NAMES = re.compile(r"presence\.(ini|js|db|secret|dump|lock)|outbound\.py")


@pytest.mark.parametrize("path", PAGES, **ids)
def test_every_setting_that_is_named_is_declared(path: Path) -> None:
    for span in spans(path):
        named = SETTING.fullmatch(span)
        if named and not FILE_NAMES.match(span):
            key = re.sub(r"^(oidc|browserid)\.(<\w+>|[\w.-]+)\.(?=\w+$)", r"\1.x.", named[1] or named[2])
            assert key in KEYS, span


# -- errors


def refusals() -> Iterator[type[Refused]]:
    waiting = Refused.__subclasses__()
    while waiting:
        yield (refusal := waiting.pop())
        waiting += refusal.__subclasses__()


ERRNOS = {refusal.errno: refusal.status for refusal in refusals() if hasattr(refusal, "errno")}
PROTOCOL = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")


def test_the_table_of_errors_is_that_of_the_code() -> None:
    table = PROTOCOL.partition("| errno | HTTP | meaning |")[2].partition("\n\n")[0]
    assert {int(errno): int(status) for errno, status in re.findall(r"^\| (\d+) \| (\d+) \|", table, re.MULTILINE)} == ERRNOS


def test_every_close_code_is_in_the_table() -> None:
    table = PROTOCOL.partition("### Close codes")[2].partition("\n## ")[0]
    listed = {int(code) for row in re.findall(r"^\| ([\d, ]+) \|", table, re.MULTILINE) for code in row.split(", ")}
    assert set(CloseCode) <= listed


@pytest.mark.parametrize("path", PAGES, **ids)
def test_every_errno_that_is_named_exists(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert {int(errno) for errno in re.findall(r'(?:errno |"errno": )(\d+)', text)} <= set(ERRNOS)


# -- messages

COMMANDS = "dpresence|systemctl|journalctl|install|pg_restore|apt-get|pip|make|chmod|sudo|curl"
OTHERS = {"http { }", "use = config:", "domains = *", ": / ? # @ %", "%3A %2F %3F %23 %40 %25", " ".join(PushSettings().services)}
"""Spans of several words that are neither a message nor a setting nor a command."""
NO_MESSAGE = re.compile(rf"({COMMANDS}) .*|[\[{{].*|\"\w+\": .*")
MAX_WORDS = 3
"""Plain words that a value within a message may have; a longer one must be a message itself."""


@cache
def templates() -> dict[tuple[str, ...], re.Pattern[str]]:
    """Return each text of the code, as its parts between values, and a pattern in which values match anything.

    The beginning of a text, up to a value, is a text as well. Texts without a word of three letters match too much.
    """
    found = set()
    for path in (ROOT / "dpresence").rglob("*.py"):
        if "tests" not in path.relative_to(ROOT).parts:
            found |= set(texts(ast.parse(path.read_text(encoding="utf-8"))))
    found |= {(*parts[:end], parts[end].rstrip(": (")) for parts in found for end in range(len(parts) - 1)}
    return {parts: re.compile("(.+?)".join(map(re.escape, parts)), re.DOTALL) for parts in found if re.search(r"[a-z]{3}", " ".join(parts))}


def texts(tree: ast.AST) -> Iterator[tuple[str, ...]]:
    """Return the parts between values of each f-string and of each string with or without %-placeholders."""
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            constants = [part.value if isinstance(part, ast.Constant) else "%s" for part in node.values]
            yield tuple("".join(map(str, constants)).rstrip("\n").split("%s"))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield tuple(re.split(r"%[-+\d.]*[a-z]", node.value))


def is_printed(message: str) -> bool:
    """Return whether the code has a text with a message. ``..`` in it stands for any words."""
    concrete = message.replace("..", "some words")
    matches = (pattern.fullmatch(concrete) for pattern in templates().values())
    if any(match and all(map(is_value, match.groups())) for match in matches):
        return True
    return any(concrete in part for parts in templates() for part in parts)


def is_value(text: str) -> bool:
    return len(re.findall(r"(?<!\S)[a-z]+:?(?!\S)", text)) <= MAX_WORDS or is_printed(text)


def quoted(path: Path) -> list[str]:
    """Return the messages that a document quotes: code spans of three words or more, and blocks without a language."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", path.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    lines = [line for language, block in blocks if not language for line in block.splitlines()]
    found = [re.sub(r"^(INFO|WARNING|ERROR) \S+ ", "", text) for text in [*spans(path), *lines] if len(text.split()) > 2]
    return [text for text in found if text not in OTHERS and not NO_MESSAGE.fullmatch(text) and not SETTING.fullmatch(text)]


@pytest.mark.slow
@pytest.mark.parametrize("path", MESSAGES, **ids)
def test_every_message_that_is_quoted_is_one_of_the_code(path: Path) -> None:
    assert [message for message in quoted(path) if not is_printed(message)] == []


def test_a_message_that_the_code_does_not_print_is_found() -> None:
    assert quoted(ROOT / "docs" / "operations.md")
    assert is_printed("dpresence does not start: presence.grace_seconds = 100: must be at most presence.lease_seconds (60)")
    assert not is_printed("dpresence does not begin: presence.grace_seconds = 100: must be at most presence.lease_seconds (60)")
    assert not is_printed("dpresence does not start: presence.grace_seconds = 100: has to be at most what presence.lease_seconds is (60)")


@pytest.mark.parametrize(
    "path", [path for path in PAGES if path.name != "rest.md"], **ids
)  # whose answers `live/test_examples.py` compares
def test_every_error_that_is_quoted_is_a_text_of_the_code(path: Path) -> None:
    for error in re.findall(r'"error": "([^"]+)"', path.read_text(encoding="utf-8")):
        assert is_printed(error) or is_printed(re.sub(r"^[a-z]+: ", "", error)), error  # a field is put before its error


# -- labels of pages


@pytest.mark.parametrize("name", ["pages", "operations"])
def test_every_label_of_a_page_that_is_quoted_is_on_one(name: str) -> None:
    package = ROOT / "dpresence"
    shown = "".join(path.read_text(encoding="utf-8") for folder in ("templates", "static") for path in (package / folder).glob("*.j*"))
    labels = re.findall(r'"([A-Z][^"`]+)"', re.sub(r"`[^`]*`", "", prose(ROOT / "docs" / f"{name}.md")))
    assert labels and [label for label in labels if " ".join(label.split()).lower() not in shown.lower()] == []
