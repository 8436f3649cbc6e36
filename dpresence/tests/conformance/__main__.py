"""Runs the Autobahn|Testsuite against the real server twice: with raised limits, and with those of production.

Usage: ``python -m dpresence.tests.conformance PYTHON``, the interpreter that has the suite. Prints ``N passed, N failed``;
the exit status tells whether any failed. What came of each case is left in ``build/autobahn/``.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

from ..live.support import EchoServer

OUT = Path("build/autobahn")
SUITE = Path(__file__).with_name("suite.py")
CASES = {"cases": ["*"], "exclude-cases": ["12.*", "13.*"]}
"""12 and 13 are compression, which is not offered: frames are small, and it brings bombs and leaks."""
EXPECTED_CASES = 301

NON_STRICT = {"6.4.3", "6.4.4"}
"""Bad text inside a frame is found when the frame is there, which RFC 6455 allows."""
INFORMATIONAL = {"7.1.6", "7.13.1", "7.13.2"}
"""Cases that the RFC leaves open."""

RAISED = {
    "channels": {
        "device_frame_bytes": 1 << 24, "device_frame_rate": 1e6, "device_frame_burst": 1000000, "fragments": 1000000,
        "send_buffer_bytes": 1 << 30, "send_buffer_frames": 1000000,
    }
}  # fmt: skip
PRODUCTION = {"channels": {"device_frame_bytes": 131072, "device_frame_rate": 200.0, "device_frame_burst": 400}}
"""Limits of an app service; all other settings are those of the ini."""


def run(name, python, overrides):
    """Run every case against a server with these settings and return what came of each."""
    OUT.mkdir(parents=True, exist_ok=True)
    spec, results = OUT / f"{name}.spec.json", OUT / f"{name}.json"
    results.unlink(missing_ok=True)
    with EchoServer(overrides) as server, open(OUT / f"{name}.log", "w") as log:
        target = {"agent": "dpresence", "url": f"ws://127.0.0.1:{server.port}/echo"}
        spec.write_text(json.dumps({"outdir": str(OUT), "servers": [target], "exclude-agent-cases": {}, **CASES}))
        subprocess.run([python, SUITE, spec, results], stdout=log, stderr=log, timeout=900, check=True)
    if "Traceback" in server.log:
        raise SystemExit(f"the server logged a traceback:\n{server.log}")
    return json.loads(results.read_text())


def by_the_book(case, result):
    """Return whether a case has the required result under limits that no case reaches."""
    behavior = "NON-STRICT" if case in NON_STRICT else "INFORMATIONAL" if case in INFORMATIONAL else "OK"
    close = "INFORMATIONAL" if case in INFORMATIONAL else "OK"
    return (result["behavior"], result["behaviorClose"]) == (behavior, close)


def within_limits(case, result):
    """Return whether a case has the required result, or was closed with the code of the limit that it exceeds."""
    return by_the_book(case, result) or (over_limits(case) and result["remoteCloseCode"] in ("1008", "1009", 1008, 1009))


def over_limits(case):
    """Return whether a case sends more than the limits of production allow."""
    return case.startswith("9.")


def report(name, results, passes, seconds):
    """Print what is not as it must be, then a line; return how many passed and failed."""
    wrong = [case for case, result in results.items() if not passes(case, result)]
    for case in sorted(wrong, key=lambda case: [int(part) for part in case.split(".")])[:20]:
        print(f"  {case}:", json.dumps(results[case]))
    failed = len(wrong) + max(0, EXPECTED_CASES - len(results))
    kinds: dict[str, int] = {}
    for result in results.values():
        kinds[result["behavior"]] = kinds.get(result["behavior"], 0) + 1
    print(f"{name} limits: {len(results)} cases in {seconds:.0f} s, {kinds}")
    return len(results) - len(wrong), failed


def main(python):
    """Run both and print the sum."""
    passed = failed = 0
    for name, overrides, passes in (("raised", RAISED, by_the_book), ("production", PRODUCTION, within_limits)):
        started = time.monotonic()
        good, bad = report(name, run(name, python, overrides), passes, time.monotonic() - started)
        passed, failed = passed + good, failed + bad
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
