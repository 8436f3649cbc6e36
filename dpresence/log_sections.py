"""Sets up the log as the sections of the ini say, by the standard library, whose errors show values and a traceback.

Where it fails, each key is read again by itself, to name the one that is wrong, but not its value.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from configparser import ConfigParser, SectionProxy
from contextlib import contextmanager
from logging.config import fileConfig
from pkgutil import resolve_name
from typing import Any

from .errors import SettingError

_Names = Mapping[str, Mapping[str, object]]
"""Names that the keys of [formatters], [handlers] and [loggers] have, by the kind."""


def configure(file: str, defaults: Mapping[str, str] | None = None, disable_existing_loggers: bool = True) -> None:
    """Set up the log; see ``logging.config.fileConfig``.

    :raises SettingError: a key is missing or wrong; names it, its section and the class of the error.
    """
    parser = ConfigParser(defaults)
    parser.read(file, encoding="utf-8")
    with _reading("a key"):
        try:
            fileConfig(parser, disable_existing_loggers=disable_existing_loggers)
        except Exception:
            _check(parser, _CHECKS)
            raise
    _check(parser, ["formatter"])  # an unknown field is an error of each line


@contextmanager
def _reading(place: str) -> Iterator[None]:
    """Have an error in the body say no more than its place and its class."""
    try:
        yield
    except SettingError:
        raise
    except Exception as error:
        text = f"the sections of the log, [loggers] to [formatter_line]: {place} is missing or wrong ({type(error).__name__})"
        raise SettingError(text) from None


def _check(parser: ConfigParser, kinds: Iterable[str]) -> None:
    """Read each key of the sections of some kinds."""
    names: dict[str, dict[str, object]] = {}
    for kind in kinds:
        with _reading(f"keys of [{kind}s]"):
            names[kind] = dict.fromkeys(_split(parser[f"{kind}s"]["keys"]))
        for name in names[kind]:
            with _reading(f"a section that keys of [{kind}s] names"):
                section = parser[f"{kind}_{name}"]
            for key, read in _CHECKS[kind].items():
                with _reading(f"{key} of [{section.name}]"):
                    read(section, names)
    with _reading("root in keys of [loggers]"):
        _split(parser["loggers"]["keys"]).index("root")


def _split(names: str) -> list[str]:
    return [name.strip() for name in names.split(",") if name]


def _evaluate(text: str) -> Any:
    return eval(text, vars(logging))  # noqa: S307 as the standard library does; the ini is the operator's


def _handler(section: SectionProxy) -> Any:
    try:
        return _evaluate(section["class"])
    except (AttributeError, NameError):
        return resolve_name(section["class"])


def _args(section: SectionProxy) -> Any:
    return _evaluate(section.get("args", "()"))


def _kwargs(section: SectionProxy) -> Any:
    return _evaluate(section.get("kwargs", "{}"))


def _formatter(section: SectionProxy) -> Any:
    return resolve_name(section.get("class") or "logging.Formatter")


def _format(section: SectionProxy) -> str:
    values = (section.get(key, other, raw=True) for key, other in (("format", None), ("datefmt", None), ("style", "%")))
    formatted: str = _formatter(section)(*values).format(logging.LogRecord("", 0, "", 0, "", (), None))
    return formatted


_CHECKS: dict[str, dict[str, Callable[[SectionProxy, _Names], object]]] = {
    "formatter": {
        "class": lambda section, names: _formatter(section),
        "format or style": lambda section, names: _format(section),
    },
    "handler": {
        "class": lambda section, names: _handler(section),
        "args": lambda section, names: _args(section),
        "kwargs": lambda section, names: _kwargs(section),
        "class, args or kwargs": lambda section, names: _handler(section)(*_args(section), **_kwargs(section)),
        "level": lambda section, names: logging.Logger("", section.get("level", "NOTSET")),
        "formatter": lambda section, names: [names["formatter"][name] for name in _split(section.get("formatter", ""))],
        "target": lambda section, names: [names["handler"][name] for name in _split(section.get("target", ""))],
    },
    "logger": {
        "level": lambda section, names: logging.Logger("", section.get("level", "NOTSET")),
        "handlers": lambda section, names: [names["handler"][name] for name in _split(section["handlers"])],
        "qualname": lambda section, names: section["qualname"] if section.name != "logger_root" else "",
        "propagate": lambda section, names: section.getint("propagate", fallback=1),
    },
}
"""Functions that read the keys of a section, by the kind of the section."""
