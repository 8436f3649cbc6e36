"""The texts of the pages in each language: a ``.po`` file for each in ``languages/``; English is the language of the sources.

Templates use ``_`` and ``trans``, scripts ``static/texts.js``, Python ``N_``. ``make texts`` keeps the files current (docs/pages.md). A
file is read when a page in its language is first requested: reading takes 0.05 s, and the import of Babel 0.1 s.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from functools import cache, cached_property
from gettext import GNUTranslations, NullTranslations
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from markupsafe import Markup

if TYPE_CHECKING:
    from babel.messages import Catalog

FOLDER = Path(__file__).parents[1] / "languages"
ENGLISH = "en"


def N_(message: str) -> str:
    """Return a text unchanged; the mark has ``make texts`` find what is translated where it is shown."""
    return message


class Catalogue:
    """The texts of the pages in one language.

    :ivar language: its tag, such as ``de``.
    :ivar name: its name in that language.
    :ivar direction: ``ltr`` or ``rtl``.
    """

    def __init__(self, language: str, file: Path | None, name: str, direction: str) -> None:
        self._file = file
        self.language = language
        self.name = name
        self.direction = direction

    def gettext(self, message: str, **values: object) -> Markup:
        """Return a text with its values, which are escaped; for ``_`` and ``trans`` of the templates."""
        return _filled(self._translations.gettext(message), values)

    def ngettext(self, singular: str, plural: str, num: int, **values: object) -> Markup:
        """Return the form of a text for a number, which is its value ``num``."""
        return _filled(self._translations.ngettext(singular, plural, num), {"num": num, **values})

    def day(self, milliseconds: int) -> str:
        """Return the date of a time in words, in UTC: a page without scripts does not know the user's time zone."""
        from babel.dates import format_date

        try:
            day: date = datetime.fromtimestamp(milliseconds / 1000, UTC).date()
        except (OverflowError, ValueError, OSError):
            return str(self.gettext("an unknown day"))
        return format_date(day, format="long", locale=self.language)

    @cached_property
    def script(self) -> bytes:
        """The module that gives scripts their texts, empty for English."""
        if self._file is None:
            return b""
        arguments = (json.dumps(each, ensure_ascii=False, separators=(",", ":")) for each in (_texts(_read(self._file)), self._forms()))
        return f'import {{ install }} from "./texts.js";\ninstall({",".join(arguments)});\n'.encode()

    @cached_property
    def etag(self) -> str:
        """The version of the script."""
        return sha256(self.script).hexdigest()[:32]

    @cached_property
    def _translations(self) -> NullTranslations:
        if self._file is None:
            return NullTranslations()
        from babel.messages.mofile import write_mo

        compiled = BytesIO()
        write_mo(compiled, _read(self._file))
        compiled.seek(0)
        return GNUTranslations(compiled)

    def _forms(self) -> dict[str, int]:
        """Return the index of the form for each category of ``Intl.PluralRules``."""
        from babel import Locale

        rule, plural = Locale.parse(self.language).plural_form, self._translations.plural  # type: ignore[attr-defined]
        return {rule(number): plural(number) for number in (*range(200), 1_000_000)}


def _filled(text: str, values: Mapping[str, object]) -> Markup:
    return Markup(text) % values  # noqa: S704  # a text of ours; its values are escaped


@cache
def _read(file: Path) -> Catalog:
    from babel.messages.pofile import read_po

    with file.open("rb") as opened:
        return read_po(opened)


def _texts(catalog: Catalog) -> dict[str, str | list[str]]:
    """Return the translations of the texts of scripts; those with a number have several forms."""
    texts: dict[str, str | list[str]] = {}
    for message in catalog:
        if any(name.endswith(".js") for name, _ in message.locations):
            text = message.id if isinstance(message.id, str) else message.id[0]
            texts[text] = list(message.string) if isinstance(message.string, list | tuple) else str(message.string)
    return texts


@cache
def catalogues() -> Mapping[str, Catalogue]:
    """Return the catalogue of each language, by its tag, English first. Only the headers of the files are read."""
    found = {ENGLISH: Catalogue(ENGLISH, None, "English", "ltr")}
    for file in sorted(FOLDER.glob("*.po")):
        header = _header(file)
        found[file.stem] = Catalogue(file.stem, file, header["X-Language-Name"], header["X-Direction"])
    return MappingProxyType(found)


def _header(file: Path) -> dict[str, str]:
    """Return the fields of the header of a catalogue; their lines look like ``"Language: de\\n"``."""
    with file.open(encoding="utf-8") as opened:
        lines = iter(opened.readline, "\n")
        fields = (line[1:].removesuffix('\\n"\n').partition(": ") for line in lines if line.startswith('"'))
        return {name: value for name, _, value in fields}
