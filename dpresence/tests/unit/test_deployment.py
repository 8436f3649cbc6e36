"""The files for container engines and Kubernetes: valid by their schemas, and in agreement with the service."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.metadata import requires
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema_rs
import kubernetes_validate
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from dpresence.settings import ServerSettings
from dpresence.settings.catalog import documented, keys
from dpresence.settings.environment import variable
from dpresence.supervisor import STOP_SECONDS

ROOT = Path(__file__).resolve().parents[3]
KUBERNETES = ROOT / "packaging" / "kubernetes"
COMPOSE = sorted((ROOT / "packaging" / "compose").glob("*.yaml"))
MANIFESTS = [path for path in sorted(KUBERNETES.rglob("*.yaml")) if path.name != "kustomization.yaml"]
RELEASES = ("1.30", "1.34", "1.37")


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def merged(base: Any, patch: Any) -> Any:
    """Return a strategic merge as Kustomize does it: mappings by key, lists by ``name``, null deletes."""
    if isinstance(base, dict) and isinstance(patch, dict):
        both = {**base, **{key: merged(base.get(key), value) for key, value in patch.items()}}
        return {key: value for key, value in both.items() if value is not None}
    if isinstance(base, list) and isinstance(patch, list) and all(isinstance(item, dict) and "name" in item for item in base + patch):
        names = list(dict.fromkeys(item["name"] for item in base + patch))
        by_name = [({item["name"]: item for item in items}) for items in (base, patch)]
        return [merged(by_name[0].get(name, {}), by_name[1].get(name, {})) for name in names]
    return patch


def deployment(shape: str) -> Any:
    return merged(read(KUBERNETES / "base/deployment.yaml"), read(KUBERNETES / shape / "deployment.yaml"))


def test_hadolint_finds_nothing_in_the_containerfile() -> None:
    done = subprocess.run([Path(sys.executable).with_name("hadolint"), ROOT / "Containerfile"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("release", RELEASES)
def test_every_manifest_is_valid(release: str) -> None:
    patches = [KUBERNETES / shape / "deployment.yaml" for shape in ("single", "cluster")]
    whole = [deployment("single"), deployment("cluster"), *(read(path) for path in MANIFESTS if path not in patches)]
    for manifest in whole:
        kubernetes_validate.validate(manifest, release, strict=True)


@pytest.mark.parametrize("path", COMPOSE, ids=lambda path: path.name)
def test_every_compose_file_is_valid_by_the_schema_of_its_specification(path: Path) -> None:
    schema = json.loads((files("check_jsonschema") / "builtin_schemas/vendor/compose-spec.json").read_text(encoding="utf-8"))
    assert [error.message for error in jsonschema_rs.validator_for(schema).iter_errors(read(path))] == []


def test_every_manifest_is_a_resource_of_its_kustomization() -> None:
    for folder in ("base", "single", "cluster"):
        kustomization = read(KUBERNETES / folder / "kustomization.yaml")
        named = [name for name in kustomization["resources"] if name != "../base"]
        named += [patch["path"] for patch in kustomization.get("patches", ())]
        assert sorted(named) == sorted(path.name for path in MANIFESTS if path.parent.name == folder)


def test_every_variable_is_a_setting() -> None:
    known = {variable(key) for key in (*documented(), *keys(ServerSettings, ""))}
    files = [*COMPOSE, *KUBERNETES.rglob("*.yaml"), ROOT / "Containerfile"]
    used = {name for path in files for name in re.findall(r"\bDPRESENCE_\w+", path.read_text(encoding="utf-8"))}
    assert used <= known
    assert {"DPRESENCE_DIRECTORY_PASSWORD_FILE", "DPRESENCE_IDENTITY_SECRET_FILE"} <= used


@pytest.mark.parametrize("shape", ["single", "cluster"])
def test_a_pod_is_permitted_little_and_has_time_to_stop(shape: str) -> None:
    pod = deployment(shape)["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert (pod["securityContext"]["runAsUser"], pod["securityContext"]["runAsNonRoot"]) == (10001, True)
    before = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod["terminationGracePeriodSeconds"] >= before + STOP_SECONDS + 5
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    assert [volume for volume in pod["volumes"] if len(volume) != 2] == []  # a name and one source


def test_compose_waits_longer_than_a_stop_takes() -> None:
    service = read(COMPOSE[1])["services"]["dpresence"]
    assert int(service["stop_grace_period"].removesuffix("s")) >= STOP_SECONDS + 5
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])


def test_the_proxy_of_compose_is_the_only_one_that_is_trusted() -> None:
    services = read(COMPOSE[1])["services"]
    address = services["proxy"]["networks"]["front"]["ipv4_address"]
    assert services["dpresence"]["environment"]["DPRESENCE_CHANNELS_TRUSTED_PROXIES"] == address


def test_names_that_compose_refers_to_are_declared() -> None:
    one, cluster = read(COMPOSE[1]), read(COMPOSE[0])
    both = {part: {**one.get(part, {}), **(cluster.get(part) or {})} for part in ("volumes", "networks", "secrets")}
    for service in (*one["services"].values(), *cluster["services"].values()):
        assert set(service.get("networks", ())) <= set(both["networks"])
        assert set(service.get("secrets", ())) <= set(both["secrets"])
        named = {volume.partition(":")[0] for volume in service.get("volumes", ())}
        assert {name for name in named if not name.startswith(".")} <= set(both["volumes"])


def test_the_image_has_a_pinned_version_of_every_requirement() -> None:
    """`make lock` pins them after a change of setup.py."""
    text = (ROOT / "packaging/container/requirements.txt").read_text(encoding="utf-8")
    pinned = dict(re.findall(r"^([\w-]+)==(\S+)", text, re.MULTILINE))
    for line in requires("dpresence") or ():
        wanted = Requirement(line)
        if wanted.marker is None or any(wanted.marker.evaluate({"extra": extra}) for extra in ("postgresql", "redis", "sentry")):
            name = canonicalize_name(wanted.name)
            assert name in pinned, f"{name} is not pinned: make lock"
            assert wanted.specifier.contains(pinned[name]), f"{name} {pinned[name]} is not permitted: make lock"
