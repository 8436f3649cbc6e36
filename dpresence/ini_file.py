"""Reads the sections of an ini without ``%`` interpolation; only ``%(here)s`` is replaced."""

from __future__ import annotations

import configparser
from pathlib import Path
from typing import Any

from .errors import SettingError
from .ini import check_sections, shown_key, shown_section

_HERE = "%(here)s"


def read_section(file: Path, name: str) -> dict[str, str]:
    """Return the keys of a section, without ``use``, for a program that is not started by pserve.

    :raises SettingError: the file is not an ini, lacks the section, or has a misplaced key; names the place, without the values.
    """
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    try:
        parser.read_string(file.read_text(encoding="utf-8-sig"))
        check_sections(parser)
        found = {key: value.replace(_HERE, str(file.parent)) for key, value in parser.items(name) if key != "use"}
    except configparser.NoSectionError:
        raise SettingError(f"{file.name}: must have a section [{name}]") from None
    except (configparser.Error, UnicodeDecodeError) as error:
        raise unreadable(error, file.name) from None
    return found


def unreadable(error: configparser.Error | UnicodeDecodeError, name: str = "") -> SettingError:
    """Return an error for a file that is not an ini; it names the place, but shows nothing of the content.

    :param name: name of the file, if the error does not contain it.
    """
    name = name or getattr(error, "source", "") or "the ini"
    if isinstance(error, configparser.InterpolationError):
        return SettingError(f"{name}: a % must be written %%, but for the sections with use = egg:dpresence")
    if isinstance(error, configparser.DuplicateOptionError):
        return SettingError(f"{name}: line {error.lineno}: {shown_key(error.option)} is set twice")
    if isinstance(error, configparser.DuplicateSectionError):
        return SettingError(f"{name}: line {error.lineno}: {shown_section(error.section)} begins a second time")
    lines = getattr(error, "errors", None) or [(getattr(error, "lineno", None), "")]
    where = f"line {lines[0][0]}" if lines[0][0] else "not UTF-8"
    if getattr(error, "line", "").startswith("\ufeff"):
        where = "it begins with a byte order mark"
    return SettingError(f"{name}: must be an ini: sections with lines of key = value ({where})")


def read_raw() -> None:
    """Make PasteDeploy, which pserve uses to read the ini, read the sections of this package in the same way.

    Its ``%`` interpolation fails on a percent-encoded password, with a traceback that shows a part of the password.
    """
    from paste.deploy import loadwsgi  # type: ignore[import-untyped]

    class Interpolation(loadwsgi.NicerConfigParser.InterpolateWrapper):  # type: ignore[misc]
        def before_get(self, parser: Any, section: str, option: str, value: str, defaults: Any) -> Any:
            if parser.get(section, "use", raw=True, fallback="").partition("#")[0] == "egg:dpresence":
                if option == "use":  # once for each section that is read
                    check_sections(parser)
                return value.replace(_HERE, defaults["here"])
            return super().before_get(parser, section, option, value, defaults)

    loadwsgi.NicerConfigParser.InterpolateWrapper = Interpolation
