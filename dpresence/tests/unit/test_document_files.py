"""The configuration files and shell commands that the documents show, read by the programs that they are for.

``test_document_blocks.py`` lists which test runs which block.
"""

from __future__ import annotations

import configparser
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from dpresence import demo
from dpresence.errors import SettingError
from dpresence.identity.client_keys import load_client_keys
from dpresence.ini import load, load_server

from .test_document_blocks import ROOT, blocks

OPERATIONS, SCALING, IDENTITY = "docs/operations.md", "docs/scaling.md", "docs/identity.md"


def program(name: str, in_ci: bool = True) -> str:
    """Return where a program is; skip the test without it, but not in CI if that installs it."""
    found = shutil.which(name)
    if found is None:
        assert not in_ci or os.environ.get("CI") != "true", f"{name} is not installed"
        pytest.skip(f"needs {name}")
    return found


def run(command: str | list[str], folder: Path, expected: int = 0, **environment: str) -> str:
    words = ["sh", "-ec", command] if isinstance(command, str) else command
    done = subprocess.run(words, cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == expected, done.stdout + done.stderr
    return done.stdout + done.stderr


def block(document: str, beginning: str) -> str:
    """Return the block of a document that has a line which begins so."""
    [found] = [text for _, text in blocks(document) if re.search(rf"^{re.escape(beginning)}", text, re.MULTILINE)]
    return found


# -- settings

SETTINGS = [
    (document, text)
    for document in (OPERATIONS, SCALING, IDENTITY)
    for language, text in blocks(document)
    if language == "ini" and re.match(r"\[server:main\]|[a-z]+\.[a-z]", text)
]


def provider(name: str) -> dict[str, str]:
    """Return what a block that changes a provider leaves out."""
    keys = {"issuer": "https://id.example.org", "client_id": "dpresence", "domains": "*"}
    return {"identity.verifiers": "oidc", "oidc.providers": name, **{f"oidc.{name}.{key}": value for key, value in keys.items()}}


def accept(text: str, folder: Path) -> None:
    """Load settings; the files that they name are made in a folder."""
    text = text.replace("/etc/dpresence", str(folder)).replace("%(here)s", str(folder))
    for file in re.findall(r"= (/\S+\.\w+)$", text, re.MULTILINE):
        Path(file).write_text("secret")
    parser = configparser.RawConfigParser(delimiters=("=",))
    parser.read_string(text if text.startswith("[") else f"[app:main]\n{text}")
    [(section, keys)] = [(name, dict(parser[name])) for name in parser.sections()]
    named = re.search(r"^oidc\.([a-z]+)\.", text, re.MULTILINE)
    if section == "server:main":
        load_server(keys)
    else:
        load({**(provider(named[1]) if named else {}), **keys}, str(folder))


@pytest.mark.parametrize(("document", "text"), SETTINGS)
def test_the_settings_of_a_block_are_accepted(document: str, text: str, tmp_path: Path) -> None:
    accept(text, tmp_path)


def test_a_block_with_a_setting_that_does_not_exist_would_be_refused(tmp_path: Path) -> None:
    assert len(SETTINGS) > 10
    with pytest.raises(SettingError, match=r"identity\.audiences"):
        accept("identity.audiences = https://presence.example.org\n", tmp_path)


def test_the_handler_of_a_log_file_writes_to_it_and_to_its_successor(tmp_path: Path) -> None:
    changes = dict(re.findall(r"^(\w+) = (.*)$", block(OPERATIONS, "class = handlers"), re.MULTILINE))
    parser = configparser.RawConfigParser()
    parser.read(ROOT / "presence.ini")
    parser["handler_console"].update({key: value.replace("/var/log/dpresence", str(tmp_path)) for key, value in changes.items()})
    with (tmp_path / "log.ini").open("w") as file:
        parser.write(file)
    script = f"""
import logging.config, os
logging.config.fileConfig({str(tmp_path / "log.ini")!r})
logging.getLogger("dpresence.server").warning("first")
os.rename({str(tmp_path / "presence.log")!r}, {str(tmp_path / "presence.log.1")!r})
logging.getLogger("dpresence.server").warning("second")
"""
    run([sys.executable, "-c", script], tmp_path)
    assert "first" in (tmp_path / "presence.log.1").read_text() and "second" in (tmp_path / "presence.log").read_text()


def test_logrotate_rotates_the_log_as_the_block_says(tmp_path: Path) -> None:
    text = (
        block(OPERATIONS, "/var/log/dpresence")
        .replace("/var/log/dpresence", str(tmp_path))
        .replace("su dpresence dpresence", "su root root")
    )
    (tmp_path / "logrotate").write_text(text)
    (tmp_path / "presence.log").write_text("a line\n")
    run([program("logrotate"), "--force", "--state", str(tmp_path / "state"), str(tmp_path / "logrotate")], tmp_path)
    assert (tmp_path / "presence.log.1").read_text() == "a line\n"


# -- systemd, Prometheus, Kubernetes, Docker


@pytest.mark.parametrize("line", ["AmbientCapabilities=", "LogsDirectory="])
def test_systemd_accepts_the_additions_to_the_unit(line: str, tmp_path: Path) -> None:
    unit = (ROOT / "packaging/dpresence.service").read_text(encoding="utf-8")
    (tmp_path / "dpresence.service").write_text(re.sub(r"^ExecStart=.*$", "ExecStart=/bin/true", unit, flags=re.MULTILINE))
    (tmp_path / "dpresence.service.d").mkdir()
    lines = [text for _, text in blocks(OPERATIONS) if line in text]
    (tmp_path / "dpresence.service.d" / "override.conf").write_text(lines[0])
    said = run([program("systemd-analyze", in_ci=False), "verify", "--man=no", str(tmp_path / "dpresence.service")], tmp_path)
    assert [each for each in said.splitlines() if "dpresence" in each] == []


def test_prometheus_accepts_the_scrape_configuration(tmp_path: Path) -> None:
    text = block(OPERATIONS, "scrape_configs:") + block(OPERATIONS, "    authorization:")
    token = tmp_path / "dpresence.token"
    token.write_text("token")
    (tmp_path / "prometheus.yml").write_text(text.replace("/etc/prometheus/dpresence.token", str(token)))
    assert "SUCCESS" in run([program("promtool"), "check", "config", str(tmp_path / "prometheus.yml")], tmp_path)


def test_kustomize_applies_the_overlay(tmp_path: Path) -> None:
    text = block(OPERATIONS, "apiVersion: kustomize")
    text = re.sub(r"https://git\.example\.org/dpresence//packaging/kubernetes/(\w+)\?ref=\S+", r"kubernetes/\1", text)
    shutil.copytree(ROOT / "packaging/kubernetes", tmp_path / "kubernetes")
    (tmp_path / "kustomization.yaml").write_text(text)
    made = list(yaml.safe_load_all(run([program("kubectl", in_ci=False), "kustomize", str(tmp_path)], tmp_path)))
    [data] = [each["data"] for each in made if each["kind"] == "ConfigMap"]
    assert (data["DPRESENCE_IDENTITY_AUDIENCE"], data["DPRESENCE_CHANNELS_TRUSTED_PROXIES"]) == (
        "https://presence.example.org",
        "10.42.0.0/16",
    )
    [pod] = [each["spec"]["template"]["spec"] for each in made if each["kind"] == "Deployment"]
    assert pod["containers"][0]["image"].startswith("registry.example.org/dpresence")


@pytest.mark.parametrize("beginning", ["docker build", "docker run", "docker exec"])
def test_docker_knows_the_options_of_the_command(beginning: str, tmp_path: Path) -> None:
    program("docker", in_ci=False)
    (tmp_path / "Containerfile").write_text("FROM scratch\n")
    command = re.sub(r"\$\(.*?\)", "0123", block(OPERATIONS, beginning))
    said = run(command, tmp_path, 1 if beginning != "docker run" else 125, DOCKER_HOST=f"unix://{tmp_path}/none", DOCKER_BUILDKIT="0")
    assert "Cannot connect to the Docker daemon" in said


# -- secrets and keys


def test_the_passwords_of_compose_are_in_files_that_the_containers_may_read(tmp_path: Path) -> None:
    line = block(OPERATIONS, "(umask 077 && mkdir secrets").splitlines()[0]
    run(line, tmp_path)
    folder = tmp_path / "secrets"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    read = {file.name: file.read_text().strip() for file in folder.iterdir() if stat.S_IMODE(file.stat().st_mode) == 0o644}
    assert set(read) == {"postgresql", "valkey"} and len(set(read.values())) == 2
    assert all(re.fullmatch("[0-9a-f]{48}", password) for password in read.values())


def test_the_secret_of_sign_ins_is_made_for_the_user_of_the_service_alone(tmp_path: Path) -> None:
    text = (
        block(IDENTITY, "runuser -u dpresence -- sh -c").replace(" -o dpresence -g dpresence", "").replace("runuser -u dpresence -- ", "")
    )
    run(text.replace("/var/lib/dpresence", str(tmp_path / "data")), tmp_path)
    file = tmp_path / "data" / "presence.secret"
    assert (stat.S_IMODE(file.stat().st_mode), len(file.read_text().strip())) == (0o600, 64)


def test_the_key_of_a_client_of_a_provider_is_one_that_the_service_takes(tmp_path: Path) -> None:
    run(block(IDENTITY, "openssl genpkey"), tmp_path)
    settings = load({**provider("corp"), "oidc.corp.client_key_file": f"{tmp_path}/corp.pem"}, str(tmp_path))
    [key] = load_client_keys(settings.oidc.configured[0])
    assert key.public()["crv"] == "P-256"
    assert stat.S_IMODE((tmp_path / "corp.pem").stat().st_mode) == 0o600


# -- load


@pytest.mark.slow
def test_make_load_puts_devices_on_a_development_service(tmp_path: Path) -> None:
    command = block(OPERATIONS, "make load").partition("#")[0]
    with demo.service(tmp_path) as origin:
        small = {"DEVICES": "3", "RATE": "3", "SECONDS": "1"}
        for name, value in small.items():
            command = re.sub(rf"{name}=\d+", f"{name}={value}", command)
        command = command.replace("make load", f"make --dry-run load SERVICE={origin} TOKEN={tmp_path}/development.token", 1)
        [script] = re.findall(r"^PYTHONPATH=.*(?:\n  .*)*$", run(command, ROOT), re.MULTILINE)
        said = run(script.replace(".venv/bin/python", sys.executable), ROOT)
    assert re.search(r"^answered OK +3$|answered OK +3$", said, re.MULTILINE), said
