"""The README's Python, pasted against a running service, and the output of `make demo` that it shows."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dpresence import demo

README = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
STOP_AFTER = "\n    for frame in channel:"


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    folder = tmp_path_factory.mktemp("readme")
    with demo.service(folder) as origin:
        yield origin, folder / "development.token"


def paste(code: str, service: tuple[str, Path], folder: Path, frames: int) -> list[str]:
    """Run a snippet as it stands, but for the port and an end after ``frames`` frames; returns what it prints."""
    origin, token = service
    shutil.copy(token, folder)
    code = code.replace("127.0.0.1:8282", origin.removeprefix("http://"))
    code = code.replace("print(json.loads(frame))", "print(json.loads(frame)); left -= 1\n        if not left: break")
    command = [sys.executable, "-c", f"left = {frames}\n{code}"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_the_device_of_the_readme_signs_in(service, tmp_path):
    assert paste(SNIPPETS[0], service, tmp_path, 1) == ["{'result': 'OK'}"]


def test_the_app_service_of_the_readme_hears_and_notifies(service, tmp_path):
    auth, snapshot, answer = paste(SNIPPETS[1] + SNIPPETS[2], service, tmp_path, 3)
    assert "'recovery': 'snapshot'" in auth
    assert "'last': True" in snapshot and "'puid'" in snapshot
    assert "'queue_size': 1" in answer


def test_the_readme_shows_what_the_demo_prints():
    done = subprocess.run([sys.executable, "-m", "dpresence.demo"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr

    def shape(text: str) -> list[str]:
        return [re.sub(r"127\.0\.0\.1:\d+|dpk_\w+|[\w-]{22}", "#", line.strip()) for line in text.strip().splitlines()]

    shown = re.search(r"```\n( +service  runs.*?)```", README, re.DOTALL)[1]
    assert shape(done.stdout) == shape(shown)
