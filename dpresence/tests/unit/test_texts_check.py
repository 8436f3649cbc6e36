"""What `make check` finds in templates and catalogues (docs/pages.md, Languages)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
TEXTS = ROOT / "packaging" / "texts"
FIND = "import sys; from pathlib import Path; from literals import literals; print([text for _, text in literals(Path(sys.argv[1]))])"


def found(template: str, folder: Path) -> str:
    """Return the texts of a template that are outside of the catalogue."""
    file = folder / "page.jinja2"
    file.write_text(template, encoding="utf-8")
    command = [sys.executable, "-c", FIND, str(file)]
    return subprocess.run(command, cwd=TEXTS, capture_output=True, text=True, check=True).stdout.strip()


def test_texts_of_a_template_outside_of_the_catalogue_are_found(tmp_path: Path) -> None:
    template = """<p>Bare</p>{{ _("wrapped") }}{% trans %}also wrapped{% endtrans %}<code>code</code><p lang="en">English</p>
        <p title="{{ _("a title") }}" aria-label="spoken"></p>{{ "Chosen" if it == "compared" else _("other") }} dpresence
        {% for name in ["Listed", _("listed too")] %}{{ name }}{% endfor %}"""
    assert found(template, tmp_path) == "['Bare', 'spoken', 'Listed', 'Chosen']"


@pytest.fixture
def check(tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """The check of a German catalogue with a missing entry, and with a place and a tag that differ."""
    text = (ROOT / "dpresence" / "languages" / "de.po").read_text(encoding="utf-8")
    for right, wrong in (
        ('"Zum Inhalt springen"', '""'),
        ("Mit %(provider)s anmelden", "Mit %(anbieter)s anmelden"),
        ("„<bdi>%(name)s</bdi>“", "„%(name)s“"),
    ):
        assert right in text
        text = text.replace(right, wrong)
    (tmp_path / "dpresence" / "languages").mkdir(parents=True)
    (tmp_path / "dpresence" / "languages" / "de.po").write_text(text, encoding="utf-8")
    command = [sys.executable, TEXTS / "catalogues.py", "--check", tmp_path]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_catalogue_with_a_missing_entry_or_another_place_or_tag_is_refused(check: subprocess.CompletedProcess[str]) -> None:
    assert check.returncode == 1
    lines = check.stderr.splitlines()
    assert "dpresence/languages/de.po: 'Skip to content' is not translated" in lines
    assert any("'Sign in with %(provider)s' has other places or tags: Mit %(anbieter)s anmelden" in line for line in lines)
    assert sum("<bdi>" in line and "has other places or tags" in line for line in lines) == 3, "of three texts"
