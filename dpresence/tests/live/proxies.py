"""Real proxies for tests: whether one is installed, and nginx as a process of the test's own."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest


def installed(name: str) -> None:
    """Skip a test without its proxy; in CI it must be there."""
    if shutil.which(name) is None:
        assert os.environ.get("CI") != "true", f"{name} is not installed"
        pytest.skip(f"the tests of proxies need {name}: apt-get install {name}")


def nginx(folder: Path, site: str) -> list[str]:
    """Write a configuration into a folder and return the command that runs it.

    :param site: what stands in its ``http`` block.
    """
    temporary = "\n".join(f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    main = f"daemon off; master_process off; pid {folder}/pid; error_log stderr warn;\nevents {{ worker_connections 1024; }}"
    (folder / "nginx.conf").write_text(f"{main}\nhttp {{\naccess_log off;\n{temporary}\n{site}\n}}\n", encoding="utf-8")
    return ["nginx", "-e", "stderr", "-c", str(folder / "nginx.conf")]
