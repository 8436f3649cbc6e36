"""The token of the development issuer, stored in a file that only the owner of the service's process can read (section 8)."""

from __future__ import annotations

import hmac
import os
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path

from ..errors import SettingError


class DevelopmentToken:
    """A secret that each request to the development issuer must contain.

    :param file: path of the file that contains the token, next to the ini file.
    :param token: ``identity.development_token``; empty for a new random one.
    """

    def __init__(self, file: Path, token: str = "") -> None:
        self.file = file
        self.value = token or secrets.token_urlsafe(32)

    def matches(self, given: str) -> bool:
        """Return whether ``given`` is the token; the comparison takes constant time."""
        return hmac.compare_digest(given.encode("utf-8", "replace"), self.value.encode("ascii"))

    def write(self) -> None:
        """Replace the file atomically, with mode 0600 and without a final newline. A symlink of that name is replaced, not followed.

        :raises SettingError: the folder is not writable.
        """
        try:
            number, new = tempfile.mkstemp(prefix=f"{self.file.name}.", dir=self.file.parent)
        except OSError as error:
            raise self._unwritable(error) from None
        try:
            with open(number, "w", encoding="ascii") as file:
                file.write(self.value)
            os.replace(new, self.file)
        except OSError as error:
            with suppress(OSError):
                os.unlink(new)
            raise self._unwritable(error) from None

    def _unwritable(self, error: OSError) -> SettingError:
        return SettingError(f"{self.file}: must be in a folder that can be written to ({error.strerror})")
