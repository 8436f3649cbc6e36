"""Finds texts in templates that are outside of the catalogue: what a person reads, and is no call of ``_``, ``ngettext`` or ``trans``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

from jinja2 import Environment, nodes

WORD = re.compile(r"[^\W\d_]{2,}")
SHOWN = ("aria-label", "aria-description", "title", "alt", "label")
NOT_READ = ("code", "pre", "script", "style", "var")
EMPTY = ("meta", "link", "img", "br", "input", "hr")
NAMES = {"dpresence", "JavaScript", "Python"}
"""Names, which are the same in every language."""
CATALOGUE = ("_", "gettext", "ngettext")


class _Texts(HTMLParser):
    """Collects the texts of a page that people read, except in elements that say in which language they are or are not to be translated."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._open: list[tuple[str, bool]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect the attributes that are read out or shown."""
        given = dict(attrs)
        hidden = self._hidden or tag in NOT_READ or (tag != "html" and "lang" in given) or given.get("translate") == "no"
        if not (self._hidden or "lang" in given):
            self.found.extend(value for name in SHOWN if (value := given.get(name)))
        if tag not in EMPTY:
            self._open.append((tag, hidden))

    def handle_endtag(self, tag: str) -> None:
        """Leave the element; blocks of a template may end one that another block began."""
        if any(tag == each for each, _ in self._open):
            while self._open.pop()[0] != tag:
                pass

    def handle_data(self, data: str) -> None:
        """Collect a text."""
        if not self._hidden:
            self.found.append(data)

    @property
    def _hidden(self) -> bool:
        return any(hidden for _, hidden in self._open)


def literals(path: Path) -> Iterator[tuple[int, str]]:
    """Return the lines and texts of a template that are outside of the catalogue.

    :param path: the template. A reference of the API is in English as a whole, which the page that includes it says.
    """
    if path.stem == "api-content":
        return
    source = path.read_text(encoding="utf-8")
    tree = Environment(extensions=["jinja2.ext.i18n"], autoescape=True).parse(source)
    collected = _Texts()
    classes = [data for block in tree.find_all(nodes.Block) if block.name == "width" for data in block.find_all(nodes.TemplateData)]
    for data in tree.find_all(nodes.TemplateData):
        if data not in classes:
            collected.feed(data.data)
    collected.close()
    for text in [*collected.found, *_constants(tree)]:
        words = [word for word in WORD.findall(text) if word not in NAMES]
        if words:
            yield _line(source, words[0]), " ".join(text.split())


def _line(source: str, word: str) -> int:
    return source[: source.find(word)].count("\n") + 1


def _constants(tree: nodes.Template) -> Iterator[str]:
    """Return the strings of expressions that look like texts: with a capital letter first or a space, and not in a call or comparison."""
    waiting: list[nodes.Node] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, nodes.Const) and isinstance(node.value, str):
            if re.match(r"[A-Z][a-z]", node.value) or re.search(r"[a-z] [a-z]", node.value):
                yield node.value
        elif isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name) and node.node.name in CATALOGUE:
            waiting.extend(keyword.value for keyword in node.kwargs)
        elif not isinstance(node, nodes.Compare):
            waiting.extend(node.iter_child_nodes())
