"""The README's Python, run as a reader would against a running service, and the output of `make demo` that it shows."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dpresence import demo

README = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
DEVICE, REGISTRATION, APP_SERVICE = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
PYTHON = [sys.executable, "-u"]


@pytest.fixture(scope="module")
def service(tmp_path_factory) -> Iterator[tuple[str, Path]]:
    folder = tmp_path_factory.mktemp("readme")
    with demo.service(folder) as origin:
        yield origin, folder / "development.token"


@pytest.fixture(params=["pasted", "saved"])
def running(request, service, tmp_path):
    """Return a context that runs code as a reader would, unchanged but for the port, and yields the lines it prints."""
    origin, token = service
    shutil.copy(token, tmp_path)

    @contextmanager
    def run(*snippets: str) -> Iterator[Iterator[str]]:
        code = "\n".join(snippets).replace("127.0.0.1:8282", origin.removeprefix("http://"))
        (tmp_path / "code.py").write_text(code, encoding="utf-8")
        command = [*PYTHON, "-i", "-q"] if request.param == "pasted" else [*PYTHON, "code.py"]
        environment = {**os.environ, "PYTHONSTARTUP": ""}
        with (tmp_path / "errors").open("w") as errors:
            process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
                                       text=True)  # fmt: skip
        if request.param == "pasted":
            process.stdin.write(code + "\n")  # and Enter
            process.stdin.flush()
        limit = threading.Timer(60, process.kill)
        limit.start()
        try:
            yield (line for line in process.stdout if line.startswith("{") and "'domain_key'" not in line)  # which the prompt echoes
        finally:
            limit.cancel()
            process.kill()
            process.communicate()
        assert "Error" not in (tmp_path / "errors").read_text()

    return run


def test_the_device_of_the_readme_signs_in(running) -> None:
    with running(DEVICE) as printed:
        assert next(printed, "") == "{'result': 'OK'}\n"


@pytest.mark.slow
def test_the_app_service_of_the_readme_receives_updates_and_notifies(running) -> None:
    with running(REGISTRATION, APP_SERVICE) as printed:
        assert "'recovery': 'snapshot'" in next(printed, "")
        snapshot = next(printed, "")
        assert "'last': True" in snapshot and "'puid'" in snapshot
        assert "'queue_size': 1" in next(printed, "")


@pytest.mark.slow
def test_the_device_gets_what_the_app_service_sends(running) -> None:
    with running(DEVICE) as device:
        assert next(device, "") == "{'result': 'OK'}\n"
        with running(REGISTRATION, APP_SERVICE) as printed:
            assert "'status': 'online'" in [next(printed, "") for _ in range(2)][1]
            assert "'message': 'Your move'" in next(device, "")


@pytest.mark.slow
def test_the_readme_shows_what_the_demo_prints():
    done = subprocess.run([sys.executable, "-m", "dpresence.demo"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr

    def shape(text: str) -> list[str]:
        return [re.sub(r"127\.0\.0\.1:\d+|dpk_[\w-]+|[\w-]{22}", "#", line.strip()) for line in text.strip().splitlines()]

    shown = re.search(r"```\n( +service  runs.*?)```", README, re.DOTALL)[1]
    assert shape(done.stdout) == shape(shown)


@pytest.mark.slow
def test_the_demo_says_why_the_service_did_not_start(tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "INI", demo.INI.replace("[app:main]", "[app:main]\npresence.grace_seconds = often"))
    with pytest.raises(SystemExit, match=r"presence\.grace_seconds"), demo.service(tmp_path):
        pass
