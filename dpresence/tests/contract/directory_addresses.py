"""An account follows its person to another address, and two accounts are merged."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dpresence.errors import Conflict, SessionEnded
from dpresence.model import ERASED, Account, Identity

from .directory_outbox import clear, pending
from .directory_values import END, NOW, SESSION, TICKET, application, at_once, grant, person

PROVIDER = "https://id.example.org"
BELONGS = "email: its account belongs to another issuer or subject"
MERGE = "email: you have another account; the operator can merge the two"


def identity(email: str, subject: str = "ada-1", issuer: str = PROVIDER) -> Identity:
    return Identity(email, issuer, subject, END)


class AddressContract:
    @pytest.fixture
    def ada(self, backend) -> Account:
        return backend.sign_in(identity("Ada.Lovelace@example.org"), NOW)

    def refused(self, backend, one: Identity) -> str:
        with pytest.raises(Conflict) as refused:
            backend.sign_in(one, NOW)
        return refused.value.error

    def test_the_account_follows_its_person_to_a_re_cased_and_to_a_changed_address(self, backend, ada):
        for email in ("ada.lovelace@example.org", "ada.king@example.org", "Ada.Lovelace@example.org"):
            assert backend.sign_in(identity(email), NOW + 1) == replace(ada, email=email)
            assert backend.account(ada.id) == replace(ada, email=email)

    def test_the_address_that_was_left_is_free_for_somebody_else(self, backend, ada):
        backend.sign_in(identity("ada.king@example.org"), NOW)
        other = backend.sign_in(identity(ada.email, "ada-2"), NOW)
        assert other.id != ada.id
        assert backend.sign_in(identity("ada.king@example.org"), NOW).id == ada.id

    def test_a_blocked_person_stays_blocked_at_another_address(self, backend, ada):
        backend.block(ada.email, True)
        assert backend.sign_in(identity("ada.king@example.org"), NOW).blocked

    def test_an_address_of_somebody_else_is_in_conflict_and_nothing_changes(self, backend, ada):
        king = backend.sign_in(identity("ada.king@example.org", "ada-2"), NOW)
        assert self.refused(backend, identity(king.email)) == MERGE
        assert self.refused(backend, identity(king.email, "ada-3")) == BELONGS
        assert self.refused(backend, identity(ada.email, issuer="login.example.org")) == BELONGS
        assert [backend.account(one.id) for one in (ada, king)] == [ada, king]

    def test_a_person_of_browserid_is_the_address(self, backend):
        one, other = (backend.sign_in(identity(name, name, "login.example.org"), NOW) for name in ("Ada@example.org", "ada@example.org"))
        assert one.id != other.id

    def test_an_unpinned_account_of_somebody_who_has_another_one_is_to_be_merged(self, backend, ada):
        person(backend, "ada.king")
        backend.unpin("ada.king@example.org")
        assert self.refused(backend, identity("ada.king@example.org")) == MERGE

    def test_of_several_first_sign_ins_with_two_addresses_there_is_one_account(self, backend):
        addresses = [f"ada.{name}@example.org" for name in ("king", "lovelace")] * 4
        accounts = at_once(*[lambda email=email: backend.sign_in(identity(email), NOW) for email in addresses])
        assert len({account.id for account in accounts}) == 1

    def test_two_who_swap_their_addresses_at_once_are_in_conflict_and_keep_them(self, backend, ada):
        king = backend.sign_in(identity("ada.king@example.org", "ada-2"), NOW)
        calls = [lambda: backend.sign_in(identity(king.email), NOW), lambda: backend.sign_in(identity(ada.email, "ada-2"), NOW)] * 3
        assert {type(outcome) for outcome in at_once(*calls)} == {Conflict}
        assert [backend.account(one.id) for one in (ada, king)] == [ada, king]

    # -- merging

    def test_a_merge_moves_applications_and_grants_with_their_puids(self, backend, ada):
        king, joe = person(backend, "ada.king"), person(backend, "joe")
        chess, go, adas = application(backend, joe), application(backend, joe, "go"), application(backend, king, "adas")
        both = grant(backend, chess, ada, "puid-1")
        twice, moved = grant(backend, chess, king, "puid-2"), grant(backend, go, king, "puid-3")
        clear(backend)
        assert backend.merge(king.email, ada.email)
        assert backend.account(king.id) is None
        assert backend.grants_of_user(ada.id).grants == (both, replace(moved, user=ada.id))
        assert backend.application(adas.id).owner == ada.id
        revision = backend.account(ada.id).revision
        assert pending(backend) == [
            ("account", king.id, "", "merged", ERASED),
            ("revoked", king.id, chess.id, twice.puid, 0),
            ("changed", ada.id, go.id, moved.puid, revision),
            ("erased", king.id, "", ada.id, 0),
        ]

    def test_a_merge_ends_what_the_old_account_is_signed_in_with(self, backend, ada):
        king = person(backend, "ada.king")
        backend.add_session(replace(SESSION, user=king.id))
        backend.add_ticket(replace(TICKET, user=king.id, session=None))
        assert backend.merge(king.email, ada.email)
        assert backend.session(SESSION.id_hash, NOW) is None
        assert backend.tickets(ada.id, NOW) == []
        with pytest.raises(SessionEnded):
            backend.add_session(replace(SESSION, user=king.id))

    def test_after_a_merge_the_account_follows_its_person(self, backend, ada):
        person(backend, "ada.king")
        backend.merge("ada.king@example.org", ada.email)
        assert backend.sign_in(identity("ada.king@example.org"), NOW) == replace(ada, email="ada.king@example.org")

    def test_a_merge_with_a_blocked_account_blocks(self, backend, ada):
        king = person(backend, "ada.king")
        backend.add_session(replace(SESSION, user=ada.id))
        backend.block(king.email, True)
        assert backend.merge(king.email, ada.email)
        assert backend.account(ada.id).blocked
        assert backend.session(SESSION.id_hash, NOW) is None

    @pytest.mark.parametrize("into", ["Ada.Lovelace@example.org", "nobody@example.org"])
    def test_a_merge_needs_two_accounts(self, backend, ada, into):
        assert not backend.merge(ada.email, into)
        assert not backend.merge("nobody@example.org", into)
        assert backend.account(ada.id) == ada
