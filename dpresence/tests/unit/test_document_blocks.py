"""Every block of the documents for operators is run by a test, or the reason why it is not stands here."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
DOCUMENTS = (
    "README.md",
    "docs/operations.md",
    "docs/upgrades.md",
    "docs/migration.md",
    "docs/scaling.md",
    "docs/identity.md",
)
_BLOCK = re.compile(r"^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)

FILES = "unit/test_document_files.py"
SETTINGS = f"{FILES}::test_the_settings_of_a_block_are_accepted"
COMMANDS = "contract/test_operator_docs.py::test_the_commands_of_the_shell_run_as_they_stand_there"
MESSAGES = "unit/test_documentation.py::test_every_message_that_is_quoted_is_one_of_the_code"
DOCKER = f"{FILES}::test_docker_knows_the_options_of_the_command"
README = "live/test_readme.py::"
INSTALLED = "live/test_wheel.py::test_somebody_signs_in_to_the_installed_service"

RUN: dict[str, dict[str, tuple[str, ...]]] = {
    "README.md": {
        "make demo    #": (f"{README}test_the_readme_shows_what_the_demo_prints",),
        "     service  runs on": (f"{README}test_the_readme_shows_what_the_demo_prints",),
        "import contextlib, json, requests": (f"{README}test_the_device_of_the_readme_signs_in",),
        "import functools": (f"{README}test_the_app_service_of_the_readme_receives_updates_and_notifies",),
        "import contextlib, json\n": (f"{README}test_the_app_service_of_the_readme_receives_updates_and_notifies",),
    },
    "docs/operations.md": {
        "make build": ("live/test_start.py::test_as_shipped_it_serves_and_says_that_sign_in_is_closed",),
        "dpresence does not start": (MESSAGES,),
        "make load": (f"{FILES}::test_make_load_puts_devices_on_a_development_service",),
        "/usr/bin/python3 -m venv": (INSTALLED, "live/test_wheel.py::test_systemd_understands_the_unit"),
        "[Service]\nAmbientCapabilities": (f"{FILES}::test_systemd_accepts_the_additions_to_the_unit",),
        "docker build": (DOCKER, "live/test_container.py::test_it_serves_as_its_user_on_a_read_only_root"),
        "docker run": (DOCKER, "live/test_container.py::test_it_serves_as_its_user_on_a_read_only_root"),
        "docker exec": (DOCKER, COMMANDS),
        "cd packaging/compose": ("unit/test_deployment.py::test_every_compose_file_is_valid_by_the_schema_of_its_specification",),
        "(umask 077 && mkdir": (f"{FILES}::test_the_passwords_of_compose_are_in_files_that_the_containers_may_read",),
        "apiVersion: kustomize": (f"{FILES}::test_kustomize_applies_the_overlay",),
        "kubectl create": ("unit/test_deployment.py::test_every_manifest_is_valid",),
        "identity.audience": (SETTINGS,),
        "map $http_upgrade": ("live/test_doctor.py::test_the_doctor_finds_nothing_to_change_behind_the_proxy_of_the_documents",),
        "dpresence [--ini INI]": ("contract/test_operator_docs.py::test_every_command_is_in_the_table",),
        "runuser -u dpresence -- /opt/dpresence/bin/dpresence --ini /etc/dpresence/presence.ini accounts": (COMMANDS,),
        "$ curl -s": ("live/test_docs.py::test_the_command_that_asks_for_the_heartbeat_prints_what_the_page_shows",),
        "scrape_configs": (f"{FILES}::test_prometheus_accepts_the_scrape_configuration",),
        "    authorization": (f"{FILES}::test_prometheus_accepts_the_scrape_configuration",),
        "class = handlers": (f"{FILES}::test_the_handler_of_a_log_file_writes_to_it_and_to_its_successor",),
        "[Service]\nLogsDirectory": (f"{FILES}::test_systemd_accepts_the_additions_to_the_unit",),
        "/var/log/dpresence": (f"{FILES}::test_logrotate_rotates_the_log_as_the_block_says",),
        "runuser -u dpresence -- /opt/dpresence/bin/dpresence --ini /etc/dpresence/presence.ini backup": (COMMANDS,),
        "runuser -u dpresence -- /opt/dpresence/bin/dpresence --ini /etc/dpresence/presence.ini restore": (COMMANDS,),
        "runuser -u dpresence -- /opt/dpresence/bin/dpresence copy": (COMMANDS,),
        "WARNING dpresence.backends.redis": (MESSAGES,),
        "redis-cli CONFIG SET max": ("contract/test_redis_states.py::test_the_command_that_the_documents_name_makes_room",),
        "WARNING dpresence.clock": (MESSAGES,),
        "WARNING dpresence.server": (MESSAGES,),
    },
    "docs/scaling.md": {
        "[server:main]": (SETTINGS,),
        "upstream dpresence": ("live/test_proxies.py::test_two_services_behind_a_proxy_are_one",),
        "defaults\n    mode http": ("live/test_proxies.py::test_two_services_behind_a_proxy_are_one",),
        "  ACL SETUSER dpresence on >password resetchannels ~": (
            "contract/test_redis_access.py::test_the_rights_that_the_documents_name_are_enough_and_no_more",
        ),
        "redis.url = rediss": (SETTINGS,),
        "redis.url = redis://dpresence@sentinel": (SETTINGS,),
        "redis.url = redis://dpresence@10": (SETTINGS,),
        "redis.url = redis://dpresence@one": (SETTINGS,),
        "redis.urls = redis://dpresence@10": (SETTINGS,),
        "  ACL SETUSER dpresence on >password resetchannels &": (
            "contract/test_redis_sentinels.py::test_the_rights_at_the_sentinels_that_the_documents_name_are_enough",
        ),
    },
    "docs/identity.md": {
        **dict.fromkeys(("identity.audience", "oidc.providers = keycloak", "oidc.providers = google", "oidc.google.domains"), (SETTINGS,)),
        **dict.fromkeys(("oidc.providers = mozilla", "oidc.corp.client_key_file", "oidc.corp.title", "identity.verifiers"), (SETTINGS,)),
        "install -d -m 700": (f"{FILES}::test_the_secret_of_sign_ins_is_made_for_the_user_of_the_service_alone",),
        "openssl genpkey": (f"{FILES}::test_the_key_of_a_client_of_a_provider_is_one_that_the_service_takes",),
        "runuser -u dpresence -- /opt/dpresence/bin/dpresence --ini /etc/dpresence/presence.ini accounts merge": (COMMANDS,),
        "runuser -u dpresence -- /opt/dpresence/bin/dpresence --ini /etc/dpresence/presence.ini accounts unpin": (COMMANDS,),
    },
}
"""The tests that run a block, by the document and the beginning of the block."""

NOT_RUN: dict[str, dict[str, str]] = {
    "docs/operations.md": {
        "scp -rp": "copies to another host; the folder that it copies is what `backup` has written",
        "redis-cli -h HOST --scan": "needs a second Redis; contract/splitting restores a database from before a split without these keys",
    },
    "docs/scaling.md": {
        "make build": "installs into the source folder, and asks for a password; every test of PostgreSQL and Redis uses what it installs",
        "dpresence partitions list": "names a server that is not here; contract/moving/test_moving_command.py runs both commands",
        "dpresence partitions replace": "the same",
        "dpresence partitions split": "needs a Redis; contract/splitting/test_splitting_command.py runs both commands",
    },
    "docs/identity.md": {
        "https://presence.example.org/login/corp/callback": "an address to enter at the provider",
        "https://presence.example.org/login/corp/jwks": "an address to enter at the provider",
        "https://presence.example.org/login/corp/backchannel-logout": "an address to enter at the provider",
    },
}
"""Blocks that no test runs, with the reason."""

PARTLY = {
    "useradd": "changes the users of the machine",
    "systemctl": "needs systemd as the first process",
    "docker": "needs a container engine; the client reads the options, and test_container.py carries out the Containerfile in a sandbox",
    "docker compose": "needs a container engine",
    "kubectl create": "needs a cluster",
    "kubectl apply": "needs a cluster; kubectl kustomize makes what it would send",
    "make run": "serves until it is ended; test_readme.py uses a service with the same ini",
    "make test": "is what runs this test",
    "pserve": "is run on another port",
}
"""What a test leaves out of a block that it runs, with the reason."""


@cache
def blocks(document: str) -> list[tuple[str, str]]:
    """Return the language and the text of each fenced block of a document."""
    text = (ROOT / document).read_text(encoding="utf-8")
    return [(found["language"], found["text"]) for found in _BLOCK.finditer(text)]


@cache
def defined(file: str) -> tuple[set[str], str]:
    """Return the names of the functions of a module of tests, and its text."""
    text = (ROOT / "dpresence" / "tests" / file).read_text(encoding="utf-8")
    return {node.name for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)}, text


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_block_has_a_test_or_a_reason(document: str) -> None:
    beginnings = [*RUN.get(document, ()), *NOT_RUN.get(document, ())]
    found = [[beginning for beginning in beginnings if text.startswith(beginning)] for _, text in blocks(document)]
    assert [text for (_, text), names in zip(blocks(document), found, strict=True) if len(names) != 1] == []
    assert sorted(name for names in found for name in names) == sorted(beginnings)


@pytest.mark.parametrize("document", RUN)
def test_the_tests_that_are_named_exist_and_read_the_document(document: str) -> None:
    name = document.rpartition("/")[2]
    for test in {test for tests in RUN[document].values() for test in tests}:
        file, _, function = test.partition("::")
        names, text = defined(file)
        assert function in names, test
        assert name in text or name.removesuffix(".md") in text or file in WITHOUT_THE_DOCUMENT, test


WITHOUT_THE_DOCUMENT = {
    "live/test_start.py": "runs presence.ini as it is shipped",
    "live/test_container.py": "carries out the Containerfile",
    "unit/test_deployment.py": "reads the files that the commands name",
}
"""Modules of tests that need no text of a document, with what they use instead."""


def test_lines_left_out_of_blocks_stand_in_one() -> None:
    shown = "".join(text for document in DOCUMENTS for _, text in blocks(document))
    assert [words for words in PARTLY if words not in shown] == []


def test_a_block_that_nobody_has_listed_is_found() -> None:
    assert len(blocks("docs/operations.md")) >= 30
    assert blocks("docs/upgrades.md") == blocks("docs/migration.md") == []
    [(language, text)] = [(found["language"], found["text"]) for found in _BLOCK.finditer("Text\n```sh\nrm -r /\n```\nText\n")]
    assert (language, text) == ("sh", "rm -r /\n")
    assert not any(text.startswith(beginning) for beginning in RUN["docs/operations.md"])
