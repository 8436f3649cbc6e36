"""Settings from environment variables, which override the ini, and secrets from files (docs/settings.md)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from ..errors import SettingError
from .catalog import file_key

PREFIX = "DPRESENCE_"
INTERNAL = ("DPRESENCE_WORKER", "DPRESENCE_LISTENER", "DPRESENCE_CHECK")
"""Variables that processes of the service set for each other (``worker.py``)."""
_OF_CLIENTS = ("DPRESENCE_KEY", "DPRESENCE_URL", "DPRESENCE_ASSERTION")
"""Variables of programs that use the service."""
_OF_KUBERNETES = re.compile(r"DPRESENCE_(\w+_)?(SERVICE_(HOST|PORT(_\w+)?)|PORT_\d+_(TCP|UDP|SCTP)(_\w+)?)")
"""Variables that Kubernetes sets in every container for a Service whose name begins with ``dpresence``."""
_PORT_OF_KUBERNETES = re.compile(r"(tcp|udp|sctp)://\S+")
MAX_BYTES = 65536
"""Maximum size of a file with a secret."""


@cache
def variable(key: str) -> str:
    """Return the environment variable of a key: ``DPRESENCE_PRESENCE_GRACE_SECONDS`` of ``presence.grace_seconds``."""
    return PREFIX + re.sub("[.-]", "_", key).upper()


def from_environment(environment: Mapping[str, str], keys: Iterable[str], here: str) -> dict[str, str]:
    """Return the values of those keys that have a variable. ``%(here)s`` is replaced as in the ini.

    :param here: folder of the ini.
    """
    found = {key: environment[variable(key)] for key in keys if variable(key) in environment}
    return {key: text.replace("%(here)s", here) for key, text in found.items() if not _is_of_kubernetes(variable(key), text)}


def unknown_variable(environment: Mapping[str, str], keys: Iterable[str]) -> str:
    """Return the first variable with the prefix of this service that is none of a key or of another program, "" without one."""
    known = {*map(variable, keys), *INTERNAL, *_OF_CLIENTS}
    ours = sorted(name for name in environment if name.startswith(PREFIX) and name not in known)
    return next((name for name in ours if not _is_of_kubernetes(name, environment[name])), "")


def _is_of_kubernetes(name: str, value: str) -> bool:
    port = name.endswith("_PORT") and _PORT_OF_KUBERNETES.fullmatch(value)
    return bool(port or _OF_KUBERNETES.fullmatch(name))


def override(ini: Mapping[str, str], values: Mapping[str, str]) -> dict[str, str]:
    """Return the keys of an ini, overridden by other values. A secret and its file override each other."""
    twins = {*map(file_key, values), *(key.removesuffix("_file") for key in values)}
    return {**{key: value for key, value in ini.items() if key not in twins}, **values}


def read_secrets(values: dict[str, str], keys: Iterable[str]) -> dict[str, str]:
    """Replace the keys of files by the secrets that the files contain; return the files by the key of the secret.

    :raises SettingError: a secret has both a value and a file, or the file cannot be used; names the key.
    """
    files = {}
    for key in keys:
        file = values.pop(file_key(key), "").strip()
        if file:
            if values.get(key, "").strip():
                raise SettingError(f"{key}: must be empty if {file_key(key)} is set")
            files[key], values[key] = file, _read(file_key(key), file)
    return files


def _read(key: str, file: str) -> str:
    try:
        with Path(file).open("rb") as opened:
            secret, reason = opened.read(MAX_BYTES + 1).decode().strip(), "it is empty"
    except OSError as error:
        secret, reason = "", error.strerror or "it cannot be read"
    except UnicodeDecodeError:
        secret, reason = "", "it is not UTF-8"
    if len(secret) > MAX_BYTES or "\n" in secret:
        secret, reason = "", "it has more than one line"
    if not secret:
        raise SettingError(f"{key}: must be a readable file with one line ({reason})")
    return secret
