"""The Containerfile, built and run without a container engine: its own instructions, each RUN in a sandbox with an almost empty root.

The base image is replaced by ``/usr`` of this machine, read-only, and the Python of the tests.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from string import Template

ROOT = Path(__file__).parents[3]
NEEDED = ("bwrap", "setpriv", "groupadd", "useradd")
"""Programs of Debian's packages bubblewrap, util-linux and passwd."""
OF_THE_BASE = (
    "passwd",
    "group",
    "shadow",
    "gshadow",
    "login.defs",
    "ssl",
    "resolv.conf",
    "nsswitch.conf",
    "hosts",
    "ld.so.cache",
    "pip.conf",
)
"""Files of ``/etc`` that the base image would have."""


def instructions() -> Iterator[tuple[str, str]]:
    """Return the instructions of the Containerfile and their arguments."""
    text = re.sub(r"^\s*#.*\n", "", (ROOT / "Containerfile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    for line in re.sub(r"\\\n\s*", "", text).splitlines():
        name, _, rest = line.partition(" ")
        if name:
            yield name, rest


def context() -> Iterator[Path]:
    """Return the files of the build context: .dockerignore excludes everything but those that it names."""
    lines = [line for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    excluded = [line.removeprefix("**/") for line in lines if not line.startswith("!") and line != "*"]
    for name in (line[1:] for line in lines if line.startswith("!")):
        for path in [ROOT / name, *(ROOT / name).rglob("*")]:
            inside = path.relative_to(ROOT)
            if path.is_file() and not any(fnmatch(str(inside), f"{part}/*") or part in inside.parts for part in excluded):
                yield inside


@dataclass
class Stage:
    """A stage of the build: its files in a folder, and what its instructions have set."""

    folder: Path
    environment: dict[str, str] = field(default_factory=lambda: {"PATH": f"{sys.base_prefix}/bin:/usr/bin:/usr/sbin:/bin:/sbin"})
    workdir: str = "/"
    set: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("etc", "opt", "var/lib", "source"):
            (self.folder / name).mkdir(parents=True)
        for name in OF_THE_BASE:
            source = Path("/etc", name)
            if source.is_dir():
                shutil.copytree(source, self.folder / "etc" / name)
            elif source.exists():
                shutil.copy2(source, self.folder / "etc" / name)

    def sandbox(self, *command: str, writable: bool, environment: dict[str, str] | None = None) -> list[str]:
        """Return the command line of a command in this stage; without ``writable`` only the volume and ``/tmp`` can be written."""
        words = ["bwrap", "--die-with-parent", "--unshare-ipc", "--clearenv", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]
        words += ["--ro-bind", "/usr", "/usr", "--ro-bind", sys.base_prefix, sys.base_prefix]
        words += [word for name in ("bin", "sbin", "lib", "lib64") for word in ("--symlink", f"usr/{name}", f"/{name}")]
        for name in ("etc", "opt", "var", "source"):
            words += ["--bind" if writable else "--ro-bind", str(self.folder / name), f"/{name}"]
        if not writable:
            words += ["--bind", str(self.folder / "var/lib/dpresence"), "/var/lib/dpresence"]
        for name, value in {**self.environment, **(environment or {})}.items():
            words += ["--setenv", name, value]
        return [*words, "--chdir", self.workdir, "--", *command]

    def run(self, script: str) -> None:
        pip = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_"))}
        call = self.sandbox("/bin/sh", "-ec", script, writable=True, environment=pip)
        done = subprocess.run(call, capture_output=True, text=True, timeout=900, check=False)
        assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"

    def copy(self, rest: str, stages: dict[str, Stage]) -> None:
        *sources, target = rest.split()
        place = self.folder / Path("/", self.workdir, target).relative_to("/")
        if sources[0].startswith("--from="):
            shutil.copytree(stages[sources[0].removeprefix("--from=")].folder / sources[1].lstrip("/"), place, symlinks=True)
            return
        for path in context():
            whole = "." in sources
            if whole or str(path) in sources:
                to = place / (path if whole else path.name)
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / path, to)


def build(folder: Path, **arguments: str) -> Stage:
    """Carry out every instruction; return the last stage."""
    stages: dict[str, Stage] = {}
    stage = Stage(folder / "none")
    for name, rest in instructions():
        if name == "FROM":
            label = rest.partition(" AS ")[2] or "image"
            stage = stages[label] = Stage(folder / label)
        elif name == "RUN":
            stage.run(rest)
        elif name == "COPY":
            stage.copy(rest, stages)
        elif name == "ENV":
            stage.environment |= {key: Template(value).substitute(stage.environment) for key, value in map(_pair, shlex.split(rest))}
        elif name == "ARG":
            key, value = _pair(rest.replace('"', ""))
            stage.environment[key] = arguments.get(key, value)
        elif name == "WORKDIR":
            stage.workdir = rest
        else:
            stage.set[name] = rest
    return stage


def words(value: str) -> list[str]:
    """Return the exec form of ENTRYPOINT, CMD or HEALTHCHECK."""
    found: list[str] = json.loads(value[value.index("[") :])
    return found


def _pair(word: str) -> tuple[str, str]:
    key, _, value = word.partition("=")
    return key, value
