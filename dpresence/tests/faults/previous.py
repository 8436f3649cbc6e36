"""The previous version of the package, from an archive, and a folder of Python whose package is exchanged as by an upgrade.

``make previous COMMIT=..`` writes the archive, at each release with the commit of the release before it. So the test needs neither the
history of the repository nor a package index.
"""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

from ..live.service import Process

ROOT = Path(__file__).parents[3]
ARCHIVE = Path(__file__).with_name("previous.tar.xz")


class Package:
    """A folder of ``PYTHONPATH`` with one version of the package.

    :ivar source: the unpacked archive, which has the inis as well.
    """

    def __init__(self, folder: Path) -> None:
        self.source = folder / "previous"
        with tarfile.open(ARCHIVE) as archive:
            archive.extractall(self.source, filter="data")
        self._path = folder / "site"
        self._path.mkdir()
        self._exchange(self.source)

    def upgrade(self) -> None:
        """Replace the package by this version; processes that run keep what they have imported."""
        self._exchange(ROOT)

    def downgrade(self) -> None:
        """Replace the package by the previous version."""
        self._exchange(self.source)

    def used_by(self, process: Process) -> None:
        """Let a process import from this folder, and not from the checkout, from its next start on."""
        process.environment = {"PYTHONPATH": str(self._path), "PYTHONWARNINGS": "ignore:pkg_resources is deprecated"}

    def _exchange(self, source: Path) -> None:
        link = self._path / "new"
        link.symlink_to(source / "dpresence")
        os.replace(link, self._path / "dpresence")
