"""The SQL directory keeps the contract, in memory and in a file; what it answered survives a kill."""

from __future__ import annotations

import gc
import tracemalloc

import pytest

from dpresence.backends.directory.sql import SqlDirectory
from dpresence.backends.sql.engine import Database

from .directory import DirectoryContract
from .directory_addresses import AddressContract
from .directory_values import END, IDENTITY, NOW, application, at_once, grant, person
from .sql import drop_tables, killed_after_ok, opened, spoil

MAX_GRANT_BYTES = 300
"""Bytes of one of five grants of a user in a cache. They were 459 when every grant had its own copy of the ids."""


class TestInMemory(DirectoryContract, AddressContract):
    @pytest.fixture
    def backend(self):
        with opened("sqlite://") as database:
            yield SqlDirectory(database)

    @pytest.fixture
    def lost(self, backend):
        drop_tables(backend.database)
        return backend


class TestInAFile(DirectoryContract, AddressContract):
    @pytest.fixture
    def url(self, tmp_path):
        return f"sqlite:///{tmp_path}/presence.db"

    @pytest.fixture
    def backend(self, url):
        with opened(url) as database:
            yield SqlDirectory(database)

    @pytest.fixture
    def lost(self, tmp_path):
        with spoil(tmp_path / "presence.db") as database:
            yield SqlDirectory(database)

    def test_two_processes_make_one_account(self, backend, url):
        other = SqlDirectory(Database(url))
        sides = (backend, other) * 10
        accounts = at_once(*[lambda side=side: side.sign_in(IDENTITY, NOW) for side in sides])
        other.close()
        assert accounts == [accounts[0]] * 20

    def test_a_page_of_a_snapshot_reads_an_index_alone(self, backend):
        statements: list[str] = []
        backend.database.read(lambda connection: connection.connection.dbapi_connection.set_trace_callback(statements.append))
        backend.grant_times("app-1", "", 500)
        (page,) = [statement for statement in statements if statement.startswith("SELECT")]
        plan = backend.database.read(lambda connection: connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {page}").all())
        assert [row.detail.partition(" (")[0] for row in plan] == [
            "SEARCH grants USING COVERING INDEX ix_grants_appid_puid_granted_at",
        ]

    @pytest.mark.slow
    def test_the_grants_of_a_user_take_little_memory_in_a_cache(self, backend):
        owner, apps = person(backend), [f"app-{n}-{'x' * 16}" for n in range(5)]
        made = [application(backend, owner, appid) for appid in apps]
        users = [person(backend, f"user-{n}") for n in range(20)]
        for number, user in enumerate(users):
            for app in made:
                grant(backend, app, user, f"puid-{app.id}-{number:04}")
        backend.grants_of_user(owner.id)  # compiles the statement
        gc.collect()
        tracemalloc.start()
        cached = {user.id: backend.grants_of_user(user.id) for user in users}
        gc.collect()
        size, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert size / len(cached) / len(apps) < MAX_GRANT_BYTES

    def test_erasing_leaves_no_trace_in_the_file(self, backend, tmp_path):
        backend.erase(person(backend, "jane.the.erased").id)
        backend.close()
        assert [path.name for path in tmp_path.iterdir()] == ["presence.db"]
        assert b"jane.the.erased" not in (tmp_path / "presence.db").read_bytes()

    @pytest.mark.slow
    def test_answered_writes_survive_a_kill(self, url):
        killed_after_ok(
            f"""
            from dpresence.tests.contract.directory_values import *
            from dpresence.backends.directory.sql import SqlDirectory
            from dpresence.tests.contract.sql import opened
            with opened({url!r}) as database:
                directory = SqlDirectory(database)
                jane = person(directory)
                app = application(directory, jane)
                directory.change_application(app.id, {{"validated_scheme": "https"}})
                directory.activate(app.id, KEY)
                grant(directory, app, jane)
                directory.add_session(replace(SESSION, user=jane.id))
                directory.add_ticket(replace(TICKET, user=jane.id))
                directory.use_ticket(TICKET.hash, NOW, "phone", b"t2")
                directory.use_assertion(b"digest", END)
                wait_to_be_killed()
            """
        )
        with opened(url) as database:
            directory = SqlDirectory(database)
            jane = person(directory)
            assert directory.application("app-1").active
            assert directory.grant("app-1", jane.id).puid == "puid-1"
            assert directory.key("key-1", NOW)
            assert directory.session(b"s1", NOW)
            assert directory.use_assertion(b"digest", END) is False
            assert directory.use_ticket(b"t2", NOW, "phone", None)[0].device == "phone"
