"""Runs pip-audit on a file of requirements: `make audit`. Fails for a known vulnerability only, not if the service cannot be asked."""

from __future__ import annotations

import json
import subprocess
import sys

SECONDS = 120


def main(program: str, requirements: str) -> int:
    """Print what is known; return 1 if a dependency has a vulnerability."""
    command = [program, "--requirement", requirements, "--disable-pip", "--require-hashes", "--format", "json", "--progress-spinner", "off"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)  # noqa: S603 the program of the Makefile
        dependencies = json.loads(done.stdout)["dependencies"]
    except (OSError, subprocess.TimeoutExpired, ValueError) as error:
        sys.stdout.write(f"Known vulnerabilities were not looked up: pip-audit has no answer ({type(error).__name__})\n")
        return 0
    unknown = [each["name"] for each in dependencies if "skip_reason" in each]
    found = [f"{each['name']} {each['version']}: {wrong['id']}" for each in dependencies for wrong in each.get("vulns", ())]
    looked_up = len(dependencies) - len(unknown)
    said = f"{looked_up} of {len(dependencies)} dependencies were looked up, {len(found)} known vulnerabilities"
    sys.stdout.write("\n".join([*found, said, ""]))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
