"""The variables of the pages' templates are those that ``views.templates`` declares."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
from jinja2 import Environment, meta

import dpresence
from dpresence.views.pages import Visitor
from dpresence.views.templates import Template

FOLDER = Path(dpresence.__file__).parent / "templates"
KINDS = {kind.name: kind for kind in Template.__subclasses__()}


FUNCTIONS = {"gettext", "ngettext", "_trans", "sign"}
"""Functions of all pages, and the name that the extension for translations adds to a parsed template."""


def variables(name: str) -> set[str]:
    parsed = Environment(autoescape=True, extensions=["jinja2.ext.i18n"]).parse((FOLDER / f"{name}.jinja2").read_text())
    included = {path.rpartition("/")[2].removesuffix(".jinja2") for path in meta.find_referenced_templates(parsed) if path} - {"base"}
    return set.union(meta.find_undeclared_variables(parsed) - FUNCTIONS, *map(variables, included))


def names(kind: type) -> set[str]:
    return {field.name for field in fields(kind)}


def test_every_template_has_a_class() -> None:
    assert set(KINDS) == {file.stem for file in FOLDER.glob("*.jinja2")} - {"base", "webhook"}  # parts of others


@pytest.mark.parametrize("name", KINDS)
def test_a_template_has_exactly_the_variables_of_its_class(name: str) -> None:
    assert variables(name) - names(Visitor) == names(KINDS[name])


def test_the_frame_of_all_pages_has_the_variables_of_a_visitor() -> None:
    assert variables("base") - {"request"} == names(Visitor)
