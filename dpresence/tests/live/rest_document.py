"""docs/rest.md as a program: its commands, the answers that it shows, and a shell that runs them."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from dpresence.contract.operations import OPERATIONS

PAGE = Path(__file__).parents[3] / "docs" / "rest.md"
IDS = {"appid", "domain_key", "api_key", "id", "puid", "assertion", "csrf", "ticket", "credential", "device_code", "user_code", "cursor"}
IDS |= {"secret"}
"""Texts that differ in each run. The one that the page shows stands for the real one in everything that follows."""
VARYING = {"version", "commit", "build", "address", "last_used", "last_looked", "icon"}
"""Texts that differ in each run and are used nowhere else."""
NUMBERS = re.compile(
    r"at|\w+_at|since|sent|(expires|last)_\w+|devices|users|applications|sockets|updates(_per_second)?|unsigned|behind|slow_readers|milliseconds"
)
"""Names of numbers that differ in each run."""
STEP = re.compile(r"```sh\n(?P<commands>.*?)```\n(?:\nHTTP (?P<status>\d{3})[:;,][^\n]*\n)?(?:\n```json\n(?P<answer>.*?)```\n)?", re.DOTALL)
END = "-- end of the step --"
OF_THE_BUILD = {"source", "commit", "build"}
"""Fields whose values depend on where the service runs from."""


@dataclass
class Step:
    """A block of commands.

    :ivar status: the HTTP status of each of its calls, None without calls.
    :ivar answer: the body of the last one, None without one that the page shows.
    """

    commands: str
    status: int | None
    answer: Any


def steps() -> list[Step]:
    """Return all blocks of the page, in order."""
    found = STEP.finditer(PAGE.read_text(encoding="utf-8"))
    return [Step(each["commands"], each["status"] and int(each["status"]), each["answer"] and json.loads(each["answer"])) for each in found]


def calls() -> set[str]:
    """Return the calls that the page makes, as ``contract/operations.py`` names them."""
    known = [operation.call for each in OPERATIONS.values() for operation in each]
    patterns = {call: re.sub(r"\\{\w+\\}", "[^/]+", re.escape(call)) for call in sorted(known, key=lambda call: "{" in call)}
    lines = [line for step in steps() for line in step.commands.replace("\\\n", " ").splitlines() if "curl" in line]
    made = [f"{_method(line)} {path}" for line in lines for path in re.findall(r"\$SERVICE(/[^\s\"?]*)", line)]
    return {next((call for call, pattern in patterns.items() if re.fullmatch(pattern, each)), each) for each in made}


def _method(line: str) -> str:
    named = re.search(r"-X ([A-Z]+)", line)
    return named[1] if named else "POST" if re.search(r" -d ", line) else "GET"


class Shell:
    """A shell in which the commands of the page run, one block after another; a context that ends it.

    :param folder: where it runs.
    :param texts: what stands for a text of the page, at first: the addresses.
    """

    def __init__(self, folder: Path, texts: dict[str, str]) -> None:
        (folder / ".curlrc").write_text('write-out = "%{stderr}%{http_code}\\n"\n')
        self._texts = texts
        errors = (folder / "errors").open("w")
        self._errors = (folder / "errors").open()
        environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "CURL_HOME": str(folder), "TMPDIR": str(folder)}
        self._process = subprocess.Popen(
            ["sh", "-u"], cwd=folder, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
        )
        errors.close()
        self._printed("""trap '[ -z "${SITE:-}" ] || kill $SITE 2>&- || true' EXIT""")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()
        self._errors.close()

    def run(self, step: Step) -> None:
        """Run a block, and compare the statuses and the answer with those that the page shows."""
        printed = self._printed(step.commands)
        statuses = self._errors.read().split()  # also those of the calls that make the assertions
        if step.status is not None:
            assert statuses[-1] == str(step.status) and set(statuses) <= {"200", statuses[-1]}, (step, statuses, printed)
        if step.answer is not None:
            self._compare(step.answer, json.loads(printed), step.commands)
        else:
            assert printed == "", (step, printed)

    def _printed(self, commands: str) -> str:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(f"{self._real(commands)}\necho; echo '{END}'\n")
        self._process.stdin.flush()
        lines: list[str] = []
        for line in self._process.stdout:
            if line.strip() == END:
                return "".join(lines).strip()
            lines.append(line)
        raise AssertionError(f"the shell ended in: {commands}")

    def _real(self, text: str) -> str:
        for shown, real in self._texts.items():
            text = text.replace(shown, real)
        return text

    def _compare(self, shown: Any, real: Any, where: str) -> None:
        """Fail where an answer differs from the one that the page shows."""
        if shown == [".."]:
            assert isinstance(real, list), where
        elif isinstance(shown, dict) and isinstance(real, dict):
            assert list(shown) == list(real), where
            for name in shown:
                self._compare_field(name, shown[name], real[name], where)
        elif isinstance(shown, list) and isinstance(real, list):
            assert len(shown) == len(real), where
            for one, other in zip(shown, real, strict=True):
                self._compare(one, other, where)
        else:
            assert (self._real(shown) if isinstance(shown, str) else shown) == real, where

    def _compare_field(self, name: str, shown: Any, real: Any, where: str) -> None:
        if isinstance(shown, str) and isinstance(real, str) and name in IDS | VARYING:
            if name in IDS:
                assert self._texts.setdefault(shown, real) == real, (name, where)
        elif name in OF_THE_BUILD:
            assert real is None or isinstance(real, str), where
        elif isinstance(shown, int | float) and isinstance(real, int | float) and not isinstance(shown, bool) and NUMBERS.fullmatch(name):
            return
        else:
            self._compare(shown, real, f"{name} in {where}")
