"""The refusal of a TLS file that cannot be read names its setting and the reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from dpresence.errors import SettingError
from dpresence.listener import tls_context
from dpresence.settings import ServerSettings


@pytest.mark.parametrize("key", ["certfile", "keyfile"])
def test_the_tls_file_that_cannot_be_read_is_named(tmp_path: Path, key: str) -> None:
    file = tmp_path / "a.pem"
    file.write_text("x")
    files = {"certfile": str(file), "keyfile": str(file), key: str(tmp_path / "missing.pem")}
    with pytest.raises(SettingError) as refused:
        tls_context(ServerSettings(**files))
    assert str(refused.value) == f"{key}: must be a readable file, PEM (No such file or directory)"
