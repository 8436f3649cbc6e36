"""Origin of the package: ``source``, ``commit`` and ``build``, as far as they are known. setup.py writes this module anew."""

from __future__ import annotations

BUILD: dict[str, str] = {}
