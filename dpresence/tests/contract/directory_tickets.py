"""Contract of every directory for tickets (docs/protocol.md, section 2)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dpresence.backends.directory import Redeemed
from dpresence.errors import SessionEnded
from dpresence.model import Ticket

from .directory_values import END, LATER, NOW, PAST, SESSION, TICKET, at_once, person


class TicketContract:
    @pytest.fixture
    def ticket(self, backend):
        ticket = replace(TICKET, user=person(backend).id)
        backend.add_ticket(ticket)
        return ticket

    def test_a_ticket_is_used_once(self, backend, ticket):
        used = backend.use_ticket(b"t1", NOW, "phone", None)
        assert used == Redeemed(replace(ticket, device="phone"), True, backend.account(ticket.user))
        again = backend.use_ticket(b"t1", NOW, "phone", b"t2")
        assert (again.ticket.family, again.good) == ("family-1", False)
        assert backend.use_ticket(b"t1", NOW, "phone", None) is None
        assert backend.use_ticket(b"t2", NOW, "phone", None) is None

    def test_the_grants_of_the_user_come_with_a_good_ticket_if_they_are_wanted(self, backend, ticket):
        assert backend.use_ticket(b"t1", NOW, "phone", b"t2", lambda user: user != ticket.user).grants is None
        assert backend.use_ticket(b"t2", NOW, "phone", b"t3", lambda user: user == ticket.user).grants == backend.grants_of_user(
            ticket.user
        )
        assert backend.use_ticket(b"t1", NOW, "phone", b"t4", lambda user: True)[1:] == (False, backend.account(ticket.user), None)

    def test_an_unknown_ticket_opens_nothing(self, backend, ticket):
        assert backend.use_ticket(b"t2", NOW, None, b"t3") is None
        assert backend.use_ticket(b"t3", NOW, None, None) is None

    def test_a_ticket_is_over_at_its_time(self, backend, ticket):
        assert backend.use_ticket(b"t1", LATER, None, b"t2") is None
        assert backend.use_ticket(b"t2", NOW, None, None) is None
        assert backend.use_ticket(b"t1", LATER - 1, None, None), "missing its time is no reuse"

    def test_a_ticket_outlives_no_session(self, backend, ticket):
        backend.add_ticket(replace(ticket, hash=b"t2", family="b", expires_at=END + 1))
        assert backend.use_ticket(b"t2", END, None, None) is None

    def test_a_follower_keeps_family_session_and_user_and_lives_until_the_session_ends(self, backend, ticket):
        backend.add_session(replace(SESSION, user=ticket.user))
        backend.add_ticket(Ticket(b"p1", "page", ticket.user, LATER, END, session=b"s1"))
        backend.use_ticket(b"p1", NOW, "tab", b"p2")
        assert backend.use_ticket(b"p2", END - 1, None, None)[:2] == (Ticket(b"p2", "page", ticket.user, END, END, session=b"s1"), True)

    def test_a_ticket_whose_answer_was_lost_gives_another_successor(self, backend, ticket):
        backend.use_ticket(b"t1", NOW, "phone", b"t2")
        for follower in (b"t3", b"t4"):
            assert backend.use_ticket(b"t1", LATER - 1, "phone", follower)[:2] == (replace(ticket, device="phone"), True)
        assert [one.hash for one in backend.tickets(ticket.user, NOW)] == [b"t4"]
        assert backend.use_ticket(b"t4", LATER, "phone", None).good

    def test_a_successor_that_was_replaced_kills_the_family(self, backend, ticket):
        backend.use_ticket(b"t1", NOW, "phone", b"successor")
        backend.use_ticket(b"t1", NOW, "phone", b"of the thief")
        assert not backend.use_ticket(b"successor", NOW, "phone", b"t4").good
        assert [backend.use_ticket(hash, NOW, "phone", None) for hash in (b"t1", b"of the thief", b"t4")] == [None] * 3

    def test_a_ticket_whose_successor_was_used_kills_its_family_only(self, backend, ticket):
        backend.add_ticket(replace(ticket, hash=b"other", family="family-2"))
        backend.use_ticket(b"t1", NOW, "phone", b"t2")
        backend.use_ticket(b"t2", NOW, "phone", b"t3")
        assert not backend.use_ticket(b"t1", NOW, "phone", b"t4").good
        assert [backend.use_ticket(hash, NOW, None, None) for hash in (b"t2", b"t3", b"t4")] == [None] * 3
        assert backend.use_ticket(b"other", NOW, None, None).good

    def test_only_the_ticket_that_was_used_last_can_be_used_again(self, backend, ticket):
        for n in range(1, 5):
            backend.use_ticket(b"t%d" % n, NOW, "phone", b"t%d" % (n + 1))
        assert backend.use_ticket(b"t4", NOW, "phone", b"again").good
        assert not backend.use_ticket(b"t3", NOW, "phone", b"never").good

    def test_a_ticket_used_again_without_a_successor_ends_the_one_it_had(self, backend, ticket):
        backend.use_ticket(b"t1", NOW, "phone", b"t2")
        assert backend.use_ticket(b"t1", NOW, "phone", None).good
        assert list(backend.tickets(ticket.user, NOW)) == []
        assert not backend.use_ticket(b"t2", NOW, "phone", None).good

    def test_a_ticket_used_again_by_another_device_kills_the_family(self, backend, ticket):
        for n, (first, second) in enumerate([("phone", "tablet"), ("phone", None), (None, "phone")]):
            backend.add_ticket(replace(ticket, hash=b"a%d" % n, family=f"{n}"))
            backend.use_ticket(b"a%d" % n, NOW, first, b"b%d" % n)
            assert not backend.use_ticket(b"a%d" % n, NOW, second, b"c%d" % n).good
            assert not backend.family_exists(f"{n}")

    def test_a_nameless_device_that_uses_a_ticket_again_has_the_name_it_got(self, backend, ticket):
        backend.use_ticket(b"t1", NOW, None, b"t2")
        assert backend.use_ticket(b"t1", NOW, None, b"t3").ticket.device is None
        backend.set_family_device(ticket.family, "~x")
        assert backend.use_ticket(b"t1", NOW, None, b"t4").ticket.device == "~x"
        assert backend.use_ticket(b"t4", NOW, None, b"t5").ticket.device is None, "a new ticket, perhaps a new device"

    def test_a_ticket_is_not_used_again_after_its_own_time(self, backend, ticket):
        backend.add_ticket(replace(ticket, hash=b"over", family="over", expires_at=PAST))
        backend.use_ticket(b"over", PAST - 1, "phone", b"next")
        assert not backend.use_ticket(b"over", NOW, "phone", b"never").good
        assert backend.use_ticket(b"next", NOW, "phone", None) is None

    def test_of_two_uses_at_once_the_later_ones_successor_stands(self, backend, ticket):
        uses = at_once(*[lambda n=n: backend.use_ticket(b"t1", NOW, None, b"next-%d" % n) for n in range(2)])
        assert [one.good for one in uses] == [True, True]
        assert len(backend.tickets(ticket.user, NOW)) == 1

    def test_tickets_are_listed_until_they_are_used_or_over(self, backend, ticket):
        backend.add_ticket(replace(ticket, hash=b"sooner", family="b", expires_at=LATER - 1))
        assert [one.hash for one in backend.tickets(ticket.user, NOW)] == [b"sooner", b"t1"]
        assert [one.hash for one in backend.tickets(ticket.user, LATER - 1)] == [b"t1"]
        backend.use_ticket(b"t1", NOW, "phone", b"t2")
        assert [(one.hash, one.device) for one in backend.tickets(ticket.user, LATER)] == [(b"t2", "phone")]
        assert list(backend.tickets("nobody", NOW)) == []

    def test_a_family_can_be_noted_for_a_device_that_got_its_name_later(self, backend, ticket):
        backend.add_ticket(replace(ticket, hash=b"other", family="other"))
        backend.use_ticket(b"t1", NOW, None, b"t2")
        backend.set_family_device(ticket.family, "~x")
        backend.sign_out_device(ticket.user, "~x")
        assert [one.hash for one in backend.tickets(ticket.user, NOW)] == [b"other"]

    def test_a_device_ends_the_families_it_used_last(self, backend, ticket):
        for family in ("b", "c"):
            backend.add_ticket(replace(ticket, hash=family.encode(), family=family))
        backend.use_ticket(b"t1", NOW, "phone", b"t2")
        backend.use_ticket(b"b", NOW, "phone", b"b2")
        backend.use_ticket(b"b2", NOW, "tablet", b"b3")
        backend.sign_out_device(ticket.user, "phone")
        assert backend.use_ticket(b"t2", NOW, None, None) is None
        assert backend.use_ticket(b"b3", NOW, None, None)
        assert backend.use_ticket(b"c", NOW, None, None)

    def test_a_device_ends_no_tickets_of_another_person(self, backend, ticket):
        backend.use_ticket(b"t1", NOW, "phone", b"t2")
        backend.sign_out_device(person(backend, "joe").id, "phone")
        assert backend.use_ticket(b"t2", NOW, None, None)

    def test_a_ticket_of_a_session_or_account_that_is_gone_is_refused(self, backend, ticket):
        for gone in (replace(ticket, hash=b"t2", session=b"ended"), replace(ticket, hash=b"t2", user="nobody")):
            with pytest.raises(SessionEnded):
                backend.add_ticket(gone)
        assert backend.use_ticket(b"t2", NOW, None, None) is None
