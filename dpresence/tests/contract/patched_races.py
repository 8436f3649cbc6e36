"""Concurrent changes of the same account, application or queue by two processes, on PostgreSQL.

Run in a process that gevent has patched, so that calls interleave at every statement; ``test_postgresql`` starts one.
"""
# ruff: noqa: B023 - what a round defines is called before the next one

from __future__ import annotations

from dataclasses import replace

import gevent
import pytest

from dpresence.backends.directory.sql import SqlDirectory
from dpresence.backends.mailbox.sql import SqlMailbox
from dpresence.backends.sql.engine import Database
from dpresence.backends.sql.migrate import migrate, revision
from dpresence.errors import Conflict, NotFound, SessionEnded, TooMany
from dpresence.model import Account, Application, Grant, Session, Ticket

from .directory_values import APPLICATION, END, IDENTITY, KEY, LATER, NOW, application, at_once, grant, person
from .mailbox import kept, one, push, settle

ROUNDS = range(10)


def after(n, call):
    """Make a call a little later in each round, so that they meet at every point."""

    def later():
        gevent.sleep(n / 2000)
        return call()

    return later


@pytest.fixture
def other_database(database, migrated):
    other = Database(migrated)
    yield other
    other.close()


def taken_entries(backend):
    """Return the entries of the outbox, and delete them."""
    entries = backend.outbox(None, 0, 1000)
    backend.clear_outbox(entries)
    return entries


class TestDirectory:
    @pytest.fixture
    def sides(self, database, other_database):
        return SqlDirectory(database), SqlDirectory(other_database)

    def test_of_many_issuers_one_pins_an_account(self, sides):
        one, two = sides
        for _ in ROUNDS:
            tries = [(side, replace(IDENTITY, issuer=f"{n}.example.org")) for n in range(4) for side in sides]
            outcomes = at_once(*[lambda side=side, who=who: side.sign_in(who, NOW) for side, who in tries])
            accounts = {outcome for outcome in outcomes if isinstance(outcome, Account)}
            assert len(accounts) == 1 and accounts == {one.account(next(iter(accounts)).id)}
            assert all(isinstance(outcome, Account | Conflict) for outcome in outcomes)
            two.unpin(IDENTITY.email)

    def test_a_stamp_is_written_once(self, sides):
        stamps = at_once(*[lambda side=side, mode=mode: side.claim_mode(mode) for side in sides for mode in ("development", "production")])
        assert len(set(stamps)) == 1

    def test_a_replayed_ticket_leaves_nothing_of_its_family(self, sides):
        one, two = sides
        jane = person(one)
        for n in ROUNDS:
            names = [b"%d-%d" % (n, m) for m in range(6)]
            one.add_ticket(Ticket(names[0], f"family-{n}", jane.id, LATER, END))
            one.use_ticket(names[0], NOW, "phone", names[1])

            def go_on():
                return [one.use_ticket(names[m], NOW, "phone", names[m + 1]) for m in range(1, 5)]

            _, replayed = at_once(go_on, lambda: two.use_ticket(names[0], NOW, "thief", b"never"))
            assert replayed is not None and not replayed[1]
            assert [one.use_ticket(name, NOW, None, None) for name in names] == [None] * 6

    def test_no_ticket_outlives_the_end_of_everything(self, sides):
        one, two = sides
        jane = person(one)
        for n in ROUNDS:
            one.block(IDENTITY.email, False)
            one.add_ticket(Ticket(b"a%d" % n, f"family-{n}", jane.id, LATER, END))
            end = two.end_sessions if n % 2 else lambda user: two.block(IDENTITY.email, True)
            at_once(lambda: one.use_ticket(b"a%d" % n, NOW, "phone", b"b%d" % n), lambda: end(jane.id))
            assert not one.family_exists(f"family-{n}")

    def test_no_ticket_of_a_device_outlives_its_end(self, sides):
        one, two = sides
        jane = person(one)
        for n in ROUNDS:
            one.add_ticket(Ticket(b"a%d" % n, f"family-{n}", jane.id, LATER, END))
            one.use_ticket(b"a%d" % n, NOW, "phone", b"b%d" % n)
            use, end = lambda: one.use_ticket(b"b%d" % n, NOW, "phone", b"c%d" % n), lambda: two.sign_out_device(jane.id, "phone")
            at_once(use, after(n, end))
            assert not one.family_exists(f"family-{n}")

    def test_the_end_of_a_session_names_every_family_it_took(self, sides):
        one, two = sides
        jane = person(one)
        for n in ROUNDS:
            session = Session(b"s%d" % n, jane.id, NOW, END)
            one.add_session(session)
            made = [Ticket(b"%d-%d" % (n, m), f"{n}-{m}", jane.id, LATER, END, session=session.id_hash) for m in range(4)]
            *added, _ = at_once(*[lambda it=it: one.add_ticket(it) for it in made], lambda s=session: two.end_session(s.id_hash))
            ended = [entry.ended_family for entry in taken_entries(one) if entry.kind == "ticket"]
            kept = [ticket.family for ticket, outcome in zip(made, added, strict=True) if outcome is None]
            assert sorted(family for family, _ in ended) == kept
            assert all(outcome is None or isinstance(outcome, SessionEnded) for outcome in added)
            assert not any(one.family_exists(ticket.family) for ticket in made)

    def test_the_limit_of_applications_holds_in_all_processes(self, sides):
        jane = person(sides[0])
        made = [replace(APPLICATION, id=f"app-{n}", owner=jane.id) for n in range(16)]
        outcomes = at_once(*[lambda n=n, app=app: sides[n % 2].add_application(app, 5) for n, app in enumerate(made)])
        assert [type(outcome) for outcome in outcomes].count(TooMany) == 11
        assert len(sides[0].applications(jane.id, "", 100)) == 5

    @pytest.mark.parametrize("way", ["move", "delete", "erase"])
    def test_every_grant_that_was_answered_stands_or_is_named_as_ended(self, sides, way):
        one, two = sides
        for n in ROUNDS:
            jane = person(one, f"jane{n}")
            app = application(one, jane, f"app-{n}")
            grant(one, app, jane, f"{n}-jane")
            people = [person(one, f"p{n}-{m}") for m in range(4)]
            ways = {
                "move": lambda: two.move_application(app.id, {"domain": "go.example.org"}),
                "delete": lambda: two.delete_application(app.id),
                "erase": lambda: two.erase(jane.id),
            }
            *made, _ = at_once(*[lambda it=it, n=n: grant(one, app, it, f"{n}-{it.email}") for it in people], ways[way])
            ended = [entry.detail for entry in taken_entries(one) if entry.kind == "revoked"]
            answered = {one.puid for one in made if isinstance(one, Grant)} | {f"{n}-jane"}
            standing = {one.puid for one in two.grants_of_application(app.id, "", 100)}
            assert answered == set(ended) | standing
            assert all(isinstance(one, Grant | NotFound) for one in made)
            assert way == "move" or not standing

    def test_a_grant_ends_once(self, sides):
        one, two = sides
        jane = person(one)
        for n in ROUNDS:
            app = application(one, jane, f"app-{n}")
            made = grant(one, app, jane, f"puid-{n}")
            calls = (
                after(n, lambda: one.revoke(app.id, jane.id)),
                after(n, lambda: two.revoke(app.id, jane.id)),
                after(n, lambda: next(iter(two.delete_application(app.id)), None)),
                lambda: one.change_grant(app.id, jane.id, {"paused": True}, LATER),
            )
            *ended, paused = at_once(*calls)
            assert [one for one in ended if one is not None] == [paused or made]

    def test_an_erasure_names_all_data_of_the_user_or_comes_first(self, sides):
        one, two = sides
        joes = application(one, person(one, "joe"), "joes")
        for n in ROUNDS:
            jane = person(one)
            kept = grant(one, application(one, person(one, "jim"), f"other-{n}"), jane, f"kept-{n}")
            calls = (
                lambda: grant(one, joes, jane, f"puid-{n}"),
                lambda: application(two, jane, f"app-{n}"),
                lambda: one.add_session(Session(b"%d" % n, jane.id, NOW, END)),
                lambda: two.add_ticket(Ticket(b"%d" % n, f"family-{n}", jane.id, LATER, END)),
                after(n, lambda: one.revoke(kept.appid, kept.user)),
                after(n % 4, lambda: two.erase(jane.id)),
            )
            taken_entries(one)
            granted, made, *signed_in, _, _ = at_once(*calls)
            assert isinstance(granted, Grant | NotFound) and isinstance(made, Application | NotFound)
            assert all(not outcome or isinstance(outcome, SessionEnded) for outcome in signed_in)
            entries = taken_entries(one)
            ended = [entry.detail for entry in entries if entry.kind == "revoked"]
            assert sorted(ended) == sorted([kept.puid] + ([granted.puid] if isinstance(granted, Grant) else []))
            assert [entry.appid for entry in entries if entry.kind == "dropped"] == ([made.id] if isinstance(made, Application) else [])

    def test_a_change_that_depends_on_the_name_or_the_domain_key_never_meets_another(self, sides):
        one, two = sides
        jane = person(one)
        for n in ROUNDS:
            app, other = (application(one, jane, f"app-{n}-{m}") for m in range(2))
            at_once(
                lambda: one.change_application(app.id, {"domain_key": "new", "validated_scheme": None}),
                lambda: two.change_application(app.id, {"validated_scheme": "https"}, app.domain_key),
                lambda: one.change_application(other.id, {"name": "Go"}, other.domain_key),
                after(n % 3, lambda: two.move_application(other.id, {"domain": "go.example.org", "domain_key": "new"}, None, other)),
            )
            changed = one.application(other.id)
            assert one.application(app.id).validated_scheme is None and (changed.name, changed.domain) != ("Go", "go.example.org")

    def test_a_domain_that_is_due_is_claimed_by_one(self, sides):
        jane = person(sides[0])
        for n in range(30):
            sides[0].add_application(replace(APPLICATION, id=f"app-{n:02}", owner=jane.id, check_at=NOW - n), 100)
        claims = at_once(*[lambda n=n: sides[n % 2].claim_checks(NOW, LATER, 4) for n in range(10)])
        claimed = [app.id for claim in claims for app in claim]
        assert sorted(claimed) == [f"app-{n:02}" for n in range(30)]

    def test_of_many_activations_and_keys_one_key_works(self, sides):
        one, two = sides
        jane = person(one)
        for n in ROUNDS:
            app = application(one, jane, f"app-{n}")
            keys = [replace(KEY, id=f"{n}-{m}", appid=app.id) for m in range(4)]
            at_once(*[lambda key=key, m=m: sides[m % 2].add_key(key, NOW) for m, key in enumerate(keys)])
            assert len([key for key in keys if two.key(key.id, NOW)]) == 1
            one.change_application(app.id, {"validated_scheme": "https"})
            keys = [replace(key, id=f"{key.id}-a") for key in keys]
            won = at_once(*[lambda key=key, m=m: sides[m % 2].activate(app.id, key) for m, key in enumerate(keys)])
            assert [two.key(key.id, NOW) is not None for key in keys] == won and won.count(True) == 1

    @pytest.mark.parametrize("way", ["block", "unpin"])
    def test_nothing_of_who_is_blocked_or_unpinned_at_that_moment_is_left(self, sides, way):
        one, two = sides
        for n in ROUNDS:
            jane = person(one, f"jane{n}")
            app = application(one, jane, f"app-{n}")
            one.change_application(app.id, {"validated_scheme": "https"})
            ends = {"block": lambda: two.block(jane.email, True), "unpin": lambda: two.unpin(jane.email)}
            calls = (
                lambda: one.activate(app.id, replace(KEY, id=f"key-{n}", appid=app.id), jane),
                lambda: one.add_session(Session(b"%d" % n, jane.id, NOW, END), jane),
                lambda: two.add_ticket(Ticket(b"%d" % n, f"family-{n}", jane.id, LATER, END), jane),
                after(n % 4, ends[way]),
            )
            *outcomes, _ = at_once(*calls)
            assert all(outcome in (None, True, []) or isinstance(outcome, SessionEnded) for outcome in outcomes)
            assert not one.application(app.id).active and one.session(b"%d" % n, NOW) is None and not one.family_exists(f"family-{n}")

    def test_sweeps_and_uses_and_ends_at_once_all_end_well(self, sides):
        """The two transactions deadlock; the server cancels one after a while, and its caller retries."""
        one, two = sides
        jane = person(one)
        for n in range(3):
            for m in range(5):
                one.add_session(Session(b"s%d-%d" % (n, m), jane.id, NOW, LATER))
                one.add_ticket(Ticket(b"%d-%d" % (n, m), f"{n}-{m}", jane.id, LATER, LATER, session=b"s%d-%d" % (n, m)))
            uses = [lambda m=m, n=n: one.use_ticket(b"%d-%d" % (n, m), NOW, "phone", b"next%d-%d" % (n, m)) for m in range(5)]
            outcomes = at_once(*uses, lambda: one.sweep(), lambda: two.sweep(), lambda: two.end_sessions(jane.id))
            assert not [outcome for outcome in outcomes if isinstance(outcome, Exception)]
            assert not any(one.family_exists(f"{n}-{m}") for m in range(5))


class TestMailbox:
    @pytest.fixture
    def sides(self, database, other_database):
        return SqlMailbox(database), SqlMailbox(other_database)

    def test_pushes_of_all_processes_keep_the_limit_the_count_and_the_order(self, sides):
        pushes = [[f"{n}-{m}" for m in range(3)] for n in range(16)]
        calls = [lambda n=n, names=names: push(sides[n % 2], *names, limit=20) for n, names in enumerate(pushes)]
        sizes = sorted(size for answer in at_once(*calls) for size in answer)
        assert sizes == [*range(1, 20), *[20] * 29]
        found = kept(sides[0])
        assert len(found) == 20
        whole = found[2:]  # the oldest push is cut
        assert all(whole[i : i + 3] == [f"{whole[i].split('-')[0]}-{m}" for m in range(3)] for i in range(0, 18, 3))

    def test_pushes_to_the_same_people_in_another_order_do_not_wait_for_each_other(self, sides):
        people = [f"user-{n}" for n in range(10)]
        for n in ROUNDS:
            pushes = [[one(f"{n}", user) for user in order] for order in (people, people[::-1], people[5:] + people[:5])]
            outcomes = at_once(*[lambda m=m, items=items: push(sides[m % 2], *items) for m, items in enumerate(pushes)])
            assert all(len(outcome) == 10 for outcome in outcomes)

    def test_settled_entries_make_room(self, sides):
        left, right = sides
        for n in ROUNDS:
            user = f"user-{n}"
            push(left, *[one(name, user) for name in "abcd"], limit=4)
            settled, _ = at_once(lambda user=user: settle(right, user, ["a"]), lambda user=user: push(left, one("e", user), limit=4))
            assert settled in (0, 1)
            assert kept(left, user) == ["b", "c", "d", "e"], "nothing but the oldest has gone"

    @pytest.mark.parametrize("offline_to", [(), None])
    def test_of_many_who_settle_the_same_each_is_counted_once(self, sides, offline_to):
        for _ in ROUNDS:
            push(sides[0], *map(str, range(10)))
            orders = [[str(n) for n in order] for order in (range(10), range(9, -1, -1), [5, 3, 8, 1])]
            settled = at_once(*[lambda n=n, ids=ids: settle(sides[n % 2], "jane", ids, offline_to) for n, ids in enumerate(orders)])
            assert sum(settled) == 10


def test_processes_that_start_at_once_migrate_once(postgresql):
    url = postgresql.make_database("started_at_once")
    databases = [Database(url) for _ in range(4)]
    assert at_once(*[lambda database=database: migrate(database) for database in databases]) == [None] * 4
    assert {revision(database) for database in databases} != {None}
    for database in databases:
        database.close()
