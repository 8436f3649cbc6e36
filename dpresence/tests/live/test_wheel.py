"""The service without its source folder: the wheel, installed as docs/operations.md does, below a folder instead of ``/``.

What the wheel depends on is that of the environment of the tests: no package is fetched.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
import requests

from dpresence.demo import free_port
from dpresence.tests.waiting import PATIENCE_SECONDS, eventually

from .cluster import Citizen, issuer
from .service import Process

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
SOURCES = (
    "dpresence",
    "packaging",
    "contrib",
    "setup.py",
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "presence.ini",
    "presence-cluster.ini",
)
PLACES = ("/opt/dpresence", "/etc/dpresence", "/etc/systemd/system", "/var/lib/dpresence")
OUTSIDE = ("useradd", "systemctl")
"""Commands of the documentation that would change this machine."""


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    done = subprocess.run(command, cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("source")
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
        else:
            shutil.copyfile(source, folder / name)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-index"]
    run(*pip, "--no-deps", "--no-build-isolation", "--wheel-dir", "dist", ".", cwd=folder)
    [built] = (folder / "dist").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def root(tmp_path_factory, wheel):
    """A folder that stands for ``/`` after the commands of the documentation."""
    folder = tmp_path_factory.mktemp("root")
    shutil.copyfile(wheel, folder / wheel.name)
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    [block] = [block for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) if "-m venv" in block]
    (folder / "etc/systemd/system").mkdir(parents=True)
    for line in block.splitlines():
        if line.startswith(OUTSIDE):
            continue
        line = line.replace("/usr/bin/python3 ", f"{sys.executable} ").replace(" -o dpresence", "").replace(" -g dpresence", "")
        line = re.sub(r"(?<![^ ,])/(opt|etc|var)\b", rf"{folder}/\1", line)
        if "pip install" in line:
            line += " --quiet --disable-pip-version-check --no-index --no-deps"
        run("sh", "-ec", line, cwd=folder)
        if "-m venv" in line:
            ours = Path(sysconfig.get_path("purelib"))
            packages = folder / "opt/dpresence" / ours.relative_to(sys.prefix)
            (packages / "of_the_tests.pth").write_text(f"{ours}\n")
            for older in packages.glob("setuptools*"):  # that of Python 3.11; pip would replace it
                shutil.rmtree(older)
    return folder


class Installed(Process):
    """The service as its unit starts it, with somebody who may sign in."""

    def __init__(self, root: Path) -> None:
        self.root = root
        unit = (root / "etc/systemd/system/dpresence.service").read_text(encoding="utf-8")
        [command] = re.findall(r"^ExecStart=(.*)$", unit, re.MULTILINE)
        pserve, ini = (root / word.lstrip("/") for word in command.split())
        port = free_port()
        self.ini = ini
        text = ini.read_text(encoding="utf-8").replace("8282", str(port))
        for line, changed in issuer(ini.parent).items():
            assert f"\n{line}\n" in text
            text = text.replace(f"\n{line}\n", f"\n{changed}\n")
        ini.write_text(text, encoding="utf-8")
        self.command = ["env", "-C", "/", str(pserve), str(ini)]
        super().__init__(self.command, root / "log", port)


@pytest.fixture(scope="module")
def service(root):
    service = Installed(root)
    service.start()
    yield service
    assert service.stop() == 0
    service.assert_clean()


def test_the_wheel_holds_all_that_is_no_test(wheel):
    def wanted(path: Path) -> bool:
        return path.is_file() and "tests" not in path.relative_to(ROOT).parts and "__pycache__" not in path.parts

    files = {path.relative_to(ROOT).as_posix() for path in (ROOT / "dpresence").rglob("*") if wanted(path)}
    assert {Path(name).suffix for name in files} >= {".py", ".js", ".css", ".svg", ".jinja2", ".lua", ".mako"}
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if name.startswith("dpresence/")}
        shared = {name.rpartition("/")[2] for name in archive.namelist() if "/share/dpresence/" in name}
    assert held == files
    assert shared == {"presence.ini", "presence-cluster.ini", "dpresence.service", "alerts.yml", "dpresence.json"}


def test_the_installed_service_is_that_of_the_wheel_and_lacks_nothing(root):
    python = root / "opt/dpresence/bin/python"
    assert Path(run(python, "-c", "import dpresence; print(dpresence.__file__)", cwd=Path("/")).strip()).is_relative_to(root)
    assert "No broken requirements" in run(python, "-m", "pip", "check", "--disable-pip-version-check", cwd=Path("/"))
    assert "dpresence.pserve" in (root / "opt/dpresence/bin/pserve").read_text(encoding="utf-8")


def test_somebody_signs_in_to_the_installed_service(service):
    with requests.Session() as browser:
        login = browser.post(
            f"{service.origin}/login", json={"assertion": Citizen(service.origin, "ann@example.org").assertion()}, timeout=PATIENCE_SECONDS
        )
        assert login.status_code == 200, login.text
        assert browser.get(f"{service.origin}/account", timeout=PATIENCE_SECONDS).json()["account"]["email"] == "ann@example.org"
        page = browser.get(f"{service.origin}/sidebar", headers={"Accept": "text/html"}, timeout=PATIENCE_SECONDS)
        scripts = re.findall(r'src="([^"]+\.js)"', page.text)
        assert page.status_code == 200 and scripts
        for script in scripts:
            assert browser.get(service.origin + script, timeout=PATIENCE_SECONDS).status_code == 200


def test_data_lies_where_the_settings_say_and_is_its_owners_alone(service):
    data = service.root / "var/lib/dpresence"
    assert {path.name for path in data.iterdir()} >= {"presence.db", "presence.db.lock"}
    assert {path.stat().st_mode & 0o077 for path in data.iterdir()} == {0}
    assert {path.name for path in service.ini.parent.iterdir()} == {"presence.ini", "issuer.json"}
    assert "others may" not in service.log()


def test_the_command_works_from_anywhere(service):
    command = service.root / "opt/dpresence/bin/dpresence"
    assert run(command, "--ini", service.ini, "migrate", cwd=Path("/")) == "the database is up to date\n"


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")
def test_systemd_understands_the_unit(root, tmp_path):
    unit = (root / "etc/systemd/system/dpresence.service").read_text(encoding="utf-8")
    for place in PLACES:
        unit = unit.replace(f"={place}", f"={root}{place}")
    (tmp_path / "dpresence.service").write_text(unit, encoding="utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", tmp_path / "dpresence.service"], capture_output=True, text=True, timeout=60, check=False
    )
    about = [line for line in done.stderr.splitlines() if "dpresence" in line]
    assert about == [], done.stderr


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")
def test_the_unit_permits_little(root):
    unit = root / "etc/systemd/system/dpresence.service"
    said = run("systemd-analyze", "security", "--offline=yes", "--threshold=20", "--no-pager", unit, cwd=root)  # in tenths
    assert float(re.findall(r"Overall exposure level for dpresence.service: (\S+)", said)[0]) < 2


def calls_of(group: str) -> set[str]:
    """Return the system calls of a group of systemd's."""
    listed = run("systemd-analyze", "syscall-filter", "--no-pager", group, cwd=Path("/")).splitlines()[1:]
    names = {line.strip() for line in listed if line.strip() and not line.strip().startswith("#")}
    return {name for name in names if not name.startswith("@")}.union(*(calls_of(name) for name in names if name.startswith("@")))


@pytest.mark.skipif(not shutil.which("systemd-analyze") or not shutil.which("strace"), reason="needs systemd-analyze and strace")
def test_the_unit_permits_every_system_call_of_the_service(root, service, tmp_path):
    unit = (root / "etc/systemd/system/dpresence.service").read_text(encoding="utf-8")
    [permitted], refused = (groups.split() for groups in re.findall(r"^SystemCallFilter=~?(.*)$", unit, re.MULTILINE))
    counts = tmp_path / "counts"
    assert service.stop() == 0
    traced = Process(["strace", "-D", "-f", "-qq", "-c", "-U", "name", "-o", str(counts), *service.command], tmp_path / "log", service.port)
    traced.start()
    requests.get(f"{service.origin}/__heartbeat__", timeout=PATIENCE_SECONDS).raise_for_status()
    assert traced.stop() == 0
    service.start()
    eventually(lambda: counts.exists() and counts.stat().st_size)
    made = set(re.findall(r"^[a-z]\w*$", counts.read_text(encoding="utf-8"), re.MULTILINE)) - {"syscall", "total"}
    assert {"openat", "accept4", "epoll_ctl"} <= made
    assert made <= calls_of(permitted)
    assert made & set().union(*map(calls_of, refused)) <= {"setrlimit", "fchown"}  # it raises a limit that LimitNOFILE sets; as root
