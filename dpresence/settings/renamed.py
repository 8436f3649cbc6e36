"""Settings under the names that they had in earlier versions (docs/upgrades.md)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..errors import SettingError


def rename(
    values: Mapping[str, str], formers: Mapping[str, str], written: Callable[[str], str] = str
) -> tuple[dict[str, str], dict[str, str]]:
    """Return the values under the present keys, and the former names that were used, as they are written, by the present key.

    :param formers: present keys, by their former names.
    :param written: returns how a key is written: as itself in the ini, as a variable in the environment.
    :raises SettingError: a setting has both names; names the former one.
    """
    used = {present: former for former, present in formers.items() if former in values}
    both = next((present for present in used if present in values), None)
    if both:
        raise SettingError(f"{written(used[both])}: must be removed, because {written(both)} is set, its present name")
    return {formers.get(key, key): value for key, value in values.items()}, {key: written(former) for key, former in used.items()}
