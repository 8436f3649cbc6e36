"""Contract of every directory for the operator: lists over all users, counts, and notes for the log of a service."""

from __future__ import annotations

from .directory_values import IDENTITY, NOW, application, grant, person


class OperatorContract:
    def test_accounts_are_listed_by_address_in_pages(self, backend):
        made = [person(backend, name) for name in ("zoe", "Ada", "bob")]
        assert [account.email for account in backend.accounts("", 2)] == ["Ada@example.org", "bob@example.org"]
        assert backend.accounts("bob@example.org", 2) == made[:1]

    def test_an_account_is_found_by_its_address(self, backend):
        account = backend.sign_in(IDENTITY, NOW)
        assert backend.account_of(IDENTITY.email) == account
        assert backend.account_of("nobody@example.org") is None

    def test_applications_of_all_owners_are_listed_by_id_in_pages(self, backend):
        first, second = person(backend, "ann"), person(backend, "bob")
        for owner, appid in ((first, "b"), (second, "a"), (first, "c")):
            application(backend, owner, appid)
        assert [made.id for made in backend.all_applications("", 2)] == ["a", "b"]
        assert [made.id for made in backend.all_applications("b", 2)] == ["c"]

    def test_stored_rows_are_counted(self, backend):
        ann = person(backend, "ann")
        made = application(backend, ann)
        backend.change_application(made.id, {"validated_scheme": "https", "active": True})
        grant(backend, made, ann)
        assert backend.counts() == {"accounts": 1, "applications": 1, "grants": 1}

    def test_a_note_is_an_entry_of_the_outbox(self, backend):
        number = backend.note("started application chess", "chess")
        (entry,) = backend.outbox(["chess"], 0, 10)
        assert (entry.id, entry.kind, entry.detail) == (number, "note", "started application chess")
        assert backend.version().revision == number
