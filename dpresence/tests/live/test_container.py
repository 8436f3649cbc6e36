"""The image of the Containerfile: what it builds, that it runs as its user on a read-only root, and that it stops in time."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
import requests

from dpresence.demo import free_port
from dpresence.tests.waiting import PATIENCE_SECONDS, eventually

from .container import NEEDED, Stage, build, instructions, words
from .service import Process

COMMIT = "0123456789abcdef0123456789abcdef01234567"
MISSING = [name for name in NEEDED if not shutil.which(name)]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0 or (bool(MISSING) and not os.environ.get("CI")), reason="needs root, bubblewrap and setpriv"),
]


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    folder = tmp_path_factory.mktemp("image")
    for parent in (folder, *folder.parents):
        if parent != Path("/tmp") and parent.stat().st_uid == os.geteuid() and str(parent).startswith("/tmp/"):
            parent.chmod(0o755)  # the user of the image has to enter it
    return build(folder, COMMIT=COMMIT)


class Container(Process):
    """The entry point of the image, as its user, with the port of a test."""

    def __init__(self, image: Stage, log: Path) -> None:
        self.image = image
        self.settings = {"DPRESENCE_PORT": str(free_port()), "DPRESENCE_HOST": "127.0.0.1"}
        command = self.inside(*words(image.set["ENTRYPOINT"]), *words(image.set["CMD"]))
        super().__init__(command, log, int(self.settings["DPRESENCE_PORT"]))

    def inside(self, *command: str) -> list[str]:
        user, _, group = self.image.set["USER"].partition(":")
        drop = ["setpriv", "--reuid", user, "--regid", group, "--clear-groups", "--inh-caps=-all", "--bounding-set=-all", "--no-new-privs"]
        return self.image.sandbox(*drop, *command, writable=False, environment=self.settings)

    def kill(self) -> None:
        """End the service as well: it does not end with the sandbox, as the change of its user clears that wish."""
        if self.alive:
            os.kill(self.pid, signal.SIGKILL)
        super().kill()

    @property
    def pid(self) -> int:
        """Return the pid of the service, below that of the sandbox."""
        pid = super().pid
        while children := Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split():
            pid = int(children[0])
        return pid


@pytest.fixture(scope="module")
def container(image, tmp_path_factory):
    container = Container(image, tmp_path_factory.mktemp("log") / "log")
    container.start()
    yield container
    container.kill()


def test_it_serves_as_its_user_on_a_read_only_root(container):
    assert requests.get(f"{container.origin}/__heartbeat__", timeout=PATIENCE_SECONDS).status_code == 200
    version = requests.get(f"{container.origin}/__version__", timeout=PATIENCE_SECONDS).json()
    assert (version["version"].partition("+")[2], version["commit"]) == (f"g{COMMIT[:12]}", COMMIT)
    status = Path(f"/proc/{container.pid}/status").read_text(encoding="ascii")
    assert re.findall(r"^(?:Uid|CapBnd|CapEff|NoNewPrivs):\s+(\w+)", status, re.MULTILINE) == ["10001", "0" * 16, "0" * 16, "1"]
    data = container.image.folder / "var/lib/dpresence"
    assert {path.name for path in data.iterdir()} >= {"presence.db", "presence.db.lock"}
    assert {(path.stat().st_uid, path.stat().st_mode & 0o077) for path in [data, *data.iterdir()]} == {(10001, 0)}
    assert "others may" not in container.log()


def test_its_health_check_sees_whether_it_answers(container):
    check = [word.replace("8282", str(container.port)) for word in words(container.image.set["HEALTHCHECK"])]
    assert subprocess.run(container.inside(*check), capture_output=True, timeout=60, check=False).returncode == 0
    nowhere = [word.replace(str(container.port), str(free_port())) for word in check]
    assert subprocess.run(container.inside(*nowhere), capture_output=True, timeout=60, check=False).returncode == 1


def test_sigterm_ends_it_in_time_and_its_data_stays(container):
    database = container.image.folder / "var/lib/dpresence/presence.db"
    before = database.stat().st_ino
    start = time.monotonic()
    assert container.stop() == 0
    assert time.monotonic() - start < 50
    container.start()
    eventually(lambda: requests.get(f"{container.origin}/__lbheartbeat__", timeout=PATIENCE_SECONDS).ok)
    assert database.stat().st_ino == before
    container.assert_clean()


def test_no_instruction_uses_the_shell_form_to_start_it():
    forms = dict(instructions())
    assert words(forms["ENTRYPOINT"]) == ["pserve"]
    assert words(forms["CMD"]) == ["/etc/dpresence/presence.ini"]
    assert forms["STOPSIGNAL"] == "SIGTERM"
