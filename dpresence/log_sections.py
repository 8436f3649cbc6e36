"""Errors in the sections of the log, which the standard library reads without a check: which key is wrong, but not its value."""

from __future__ import annotations

import linecache
import re
from logging import config
from traceback import walk_tb
from types import TracebackType

_SECTIONS = ("loggers", "handlers", "formatters")
_KEYS = (
    (r"setLevel", "level"),
    (r"kwargs = eval", "kwargs"),
    (r"args = eval", "args"),
    (r"klass = |_resolve", "class"),
    (r"= klass\(", "class, args or kwargs"),
    (r"formatters\[", "formatter"),
    (r"handlers\[hand\]", "handlers"),
    (r"handlers\[t\]", "target"),
    (r"getint", "propagate"),
    (r"= c\(", "format or style"),
)
"""Patterns of lines of ``logging.config``, each with the key of a section that such a line reads. The first match counts."""


def describe(error: BaseException, traceback: TracebackType | None) -> str | None:
    """Return which key of which section is wrong, and the class of the error; None if the error is of something else."""
    frames = [(frame, line) for frame, line in walk_tb(traceback) if frame.f_code.co_filename == config.__file__]
    if not frames:
        return None
    frame, number = next(((each, line) for each, line in reversed(frames) if each.f_code.co_name.endswith("ers")), frames[0])
    line = linecache.getline(frame.f_code.co_filename, number)
    name = getattr(frame.f_locals.get("section"), "name", None) or frame.f_locals.get("sectname")
    return f"the sections of the log, [loggers] to [formatter_line]: {_place(line, name)} is missing or wrong ({type(error).__name__})"


def _place(line: str, section: str | None) -> str:
    """Return the section and the key that a line of ``logging.config`` reads.

    :param section: name of the section that is being read, if there is one.
    """
    if found := re.search(r'cp\["(\w+)"\]', line):
        return f"keys of [{found[1]}]" if found[1] in _SECTIONS else f"[{found[1]}]"
    if found := re.search(r'cp\["(handler|logger)_', line):
        return f"a section that keys of [{found[1]}s] names"
    if "cp[sectname]" in line:
        return "a section that keys of [formatters] names"
    if "remove(" in line and section is None:
        return "root in keys of [loggers]"
    named = re.search(r'section\["(\w+)"\]', line)
    key = named[1] if named else next((key for pattern, key in _KEYS if re.search(pattern, line)), "a key")
    return f"{key} of [{section}]" if section else key
