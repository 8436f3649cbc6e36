"""Declaration of a setting, and the error of a wrong value."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from typing import Any

from ..errors import SettingError
from ..origins import canonical_origin
from .allowed import networks

_HARMLESS = re.compile(r"(-?[0-9]+(\.[0-9]+)?|true|false|localhost)?")


def setting(
    default: Any,
    doc: str,
    *,
    low: float | None = None,
    high: float | None = None,
    one_of: tuple[str, ...] = (),
    check: Callable[[Any], str | None] | None = None,
    allowed: str = "",
    secret: bool = False,
    ini_only: bool = False,
    former: str = "",
) -> Any:
    """Declare one key: its type is the annotation, its unit is part of its name (``_seconds``, ``_bytes``, ``_rate``, ``_per_hour``).

    :param default: value of a key that is not in the ini.
    :param doc: meaning: the comment in the inis and a column of ``docs/settings.md``.
    :param low: lowest value of a number; ``high`` is the highest.
    :param one_of: allowed words.
    :param check: returns a description of the allowed values if the value is not allowed, else None.
    :param allowed: allowed values as ``docs/settings.md`` describes them, if neither the type nor the range does.
    :param secret: the value may contain a secret; it may be in the file that the key ``<key>_file`` names.
    :param ini_only: no environment variable sets it.
    :param former: its name in earlier versions, without the prefix, which still works with a warning.
    """
    rules = {"low": low, "high": high, "one_of": one_of, "check": check, "allowed": allowed}
    metadata = {"doc": doc, **rules, "secret": secret, "ini_only": ini_only, "former": former}
    return dataclasses.field(default=default, metadata=metadata)


def wrong_setting(key: str, value: object, allowed: str) -> SettingError:
    """Return an error that names a setting and the allowed values.

    The error contains the value only if it cannot be a secret: a number, true or false, an IP address or network, an empty value, or
    an origin under a key of origins.
    Any other value may contain a password: in a URL, as the value of another key, or after a typing error.
    """
    text = str(value)
    is_origin = key in ("identity.audience", "channels.origins") and canonical_origin(text) == text
    harmless = _HARMLESS.fullmatch(text) or networks((text,)) is None or is_origin
    shown = harmless and not re.search("token|secret|password", key)
    return SettingError(f"{key} = {text}: must be {allowed}" if shown else f"{key}: must be {allowed}")


def refuse(wrong: bool, key: str, value: object, allowed: str) -> None:
    """Refuse a wrong value with an error that names the allowed ones.

    :raises SettingError: ``wrong`` is true.
    """
    if wrong:
        raise wrong_setting(key, value, allowed)
