"""presence-cluster.ini is presence.ini for several processes: the same keys and comments, and a few other values."""

from __future__ import annotations

from pathlib import Path

from dpresence.ini import load, load_server

from .test_ini_files import ROOT, section, shown

CLUSTER = "presence-cluster.ini"
OTHER = {
    "directory.url": "postgresql+psycopg://dpresence@127.0.0.1:5432/dpresence",
    "tracker": "redis",
    "mailbox": "redis",
    "workers": "2",
}


def test_it_shows_what_presence_ini_shows_but_for_what_is_shared() -> None:
    expected = [(key, OTHER.get(key, value), comment) for key, value, comment in shown("presence.ini")]
    assert list(shown(CLUSTER)) == expected


def test_it_is_read(tmp_path: Path) -> None:
    settings = load(section(CLUSTER, "app:main"), str(tmp_path))
    assert (settings.storage.tracker, settings.storage.mailbox) == ("redis", "redis")
    assert load_server(section(CLUSTER, "server:main")).workers == 2


def test_it_is_complete_in_itself_and_logs_like_presence_ini_with_the_process() -> None:
    plain, cluster = ((ROOT / name).read_text(encoding="utf-8") for name in ("presence.ini", CLUSTER))
    assert cluster.count("use = egg:dpresence\n") == 2 and "[DEFAULT]" not in cluster and "config:" not in cluster
    logging = plain.partition("[loggers]")[2].replace("%(levelname)s ", "%(levelname)s [%(process)d] ")
    assert cluster.partition("[loggers]")[2] == logging
