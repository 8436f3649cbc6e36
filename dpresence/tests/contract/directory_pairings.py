"""Contract of every directory for pairings and the credentials of devices (docs/protocol.md, sections 2 and 6)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dpresence.backends.directory import PairedDevice, SignedIn
from dpresence.errors import SessionEnded
from dpresence.model import DeviceCredential

from .directory_values import END, LATER, NOW, PAIRING, PAST, SESSION, TICKET, person

CODE = PAIRING.code


def paired(backend, hash=b"c1", pairing=PAIRING, email="jane", expires_at=END):
    """Pair a device, and return its credential."""
    account = person(backend, email)
    assert backend.add_pairing(pairing)
    assert backend.answer_pairing(pairing.code, NOW, account.id, True)
    return backend.add_credential(pairing.hash, NOW, hash, expires_at)


def again(device=PAIRING.device, n=2):
    """Return another pairing of a device."""
    return replace(PAIRING, hash=b"device-code-%d" % n, code=CODE[:-1] + "XYZW"[n], family=f"family-{n}0", device=device)


class PairingContract:
    def test_a_pairing_waits_until_it_is_answered(self, backend):
        assert backend.add_pairing(PAIRING)
        assert backend.waiting_pairing(CODE, NOW) == backend.pairing(PAIRING.hash, NOW) == PAIRING
        user = person(backend).id
        assert backend.answer_pairing(CODE, NOW, user, True)
        assert backend.waiting_pairing(CODE, NOW) is None
        assert backend.pairing(PAIRING.hash, NOW) == replace(PAIRING, state="allowed", user=user)
        assert not backend.answer_pairing(CODE, NOW, user, False), "it can be answered once"

    def test_a_code_is_that_of_one_pairing(self, backend):
        assert backend.add_pairing(PAIRING)
        assert not backend.add_pairing(replace(PAIRING, hash=b"other"))
        assert backend.pairing(b"other", NOW) is None

    def test_a_pairing_ends_at_its_time(self, backend):
        user = person(backend).id
        backend.add_pairing(PAIRING)
        assert backend.pairing(PAIRING.hash, LATER) is backend.waiting_pairing(CODE, LATER) is None
        assert not backend.answer_pairing(CODE, LATER, user, True)
        assert backend.answer_pairing(CODE, LATER - 1, user, True)
        assert backend.add_credential(PAIRING.hash, LATER, b"c1", END) is None

    def test_a_pairing_without_a_consent_gives_no_credential(self, backend):
        backend.add_pairing(PAIRING)
        assert backend.add_credential(PAIRING.hash, NOW, b"c1", END) is None
        backend.answer_pairing(CODE, NOW, person(backend).id, False)
        assert backend.pairing(PAIRING.hash, NOW) == replace(PAIRING, state="denied")
        assert backend.add_credential(PAIRING.hash, NOW, b"c1", END) is None
        assert backend.credential(b"c1", NOW) is None

    def test_only_a_present_session_can_answer(self, backend):
        account = person(backend)
        backend.add_pairing(PAIRING)
        with pytest.raises(SessionEnded):
            backend.answer_pairing(CODE, NOW, account.id, True, SignedIn(replace(SESSION, user=account.id), account))
        assert backend.waiting_pairing(CODE, NOW) == PAIRING
        session = replace(SESSION, user=account.id)
        backend.add_session(session)
        assert backend.answer_pairing(CODE, NOW, account.id, True, SignedIn(session, account))

    def test_an_account_that_does_not_exist_answers_nothing(self, backend):
        backend.add_pairing(PAIRING)
        assert not backend.answer_pairing(CODE, NOW, "nobody", True)
        assert backend.waiting_pairing(CODE, NOW) == PAIRING

    def test_a_consent_gives_a_credential(self, backend):
        got = paired(backend)
        user = person(backend).id
        expected = DeviceCredential(b"c1", PAIRING.family, user, PAIRING.device, PAIRING.client, NOW, END)
        assert got == backend.credential(b"c1", NOW) == PairedDevice(expected, person(backend))
        assert backend.credentials(user, NOW) == [expected]
        assert backend.family_exists(PAIRING.family)

    def test_an_allowed_pairing_is_found_by_its_device_until_that_is_signed_out(self, backend):
        jane, joe = person(backend).id, person(backend, "joe").id
        for pairing in (PAIRING, again("desk")):
            backend.add_pairing(pairing)
        assert not backend.has_allowed_pairing(jane, PAIRING.device, NOW)
        backend.answer_pairing(CODE, NOW, jane, True)
        backend.answer_pairing(again("desk").code, NOW, jane, False)
        assert backend.has_allowed_pairing(jane, PAIRING.device, NOW)
        others = [(joe, PAIRING.device, NOW), (jane, "desk", NOW), (jane, PAIRING.device, LATER)]
        assert not any(backend.has_allowed_pairing(*other) for other in others)
        backend.sign_out_device(jane, PAIRING.device)
        assert not backend.has_allowed_pairing(jane, PAIRING.device, NOW)

    def test_a_credential_whose_answer_was_lost_is_replaced(self, backend):
        paired(backend)
        assert backend.add_credential(PAIRING.hash, NOW, b"c2", END).credential.hash == b"c2"
        assert backend.credential(b"c1", NOW) is None

    def test_a_pairing_whose_credential_was_used_gives_no_other(self, backend):
        paired(backend)
        backend.renew_credential(b"c1", NOW, END)
        assert backend.add_credential(PAIRING.hash, NOW, b"c2", END) is None
        assert backend.credential(b"c1", NOW).credential.used_at == NOW

    def test_a_credential_expires_unless_it_is_renewed(self, backend):
        paired(backend, expires_at=LATER)
        assert backend.credential(b"c1", LATER) is None
        assert backend.credentials(person(backend).id, LATER) == []
        backend.renew_credential(b"c1", NOW, END)
        backend.renew_credential(b"c1", PAST, LATER)
        assert backend.credential(b"c1", LATER).credential == replace(
            backend.credential(b"c1", NOW).credential, used_at=NOW, expires_at=END
        )

    def test_another_pairing_of_the_same_device_ends_the_first_credential_and_its_tickets(self, backend):
        paired(backend)
        user = person(backend).id
        backend.add_ticket(replace(TICKET, user=user, device=PAIRING.device))
        got = paired(backend, b"c2", again())
        assert backend.credential(b"c1", NOW) is None
        assert [one.hash for one in backend.credentials(user, NOW)] == [b"c2"]
        assert not backend.family_exists(TICKET.family)
        (entry,) = backend.outbox([user], 0, 10)
        assert (entry.kind, entry.detail, entry.revision) == ("device", PAIRING.device, got.account.revision)

    def test_devices_of_other_names_and_users_keep_theirs(self, backend):
        paired(backend)
        paired(backend, b"c2", again("desk"))
        paired(backend, b"c3", again(n=3), "joe")
        assert [one.device for one in backend.credentials(person(backend).id, NOW)] == ["desk", "lamp"]
        backend.sign_out_device(person(backend).id, "lamp")
        assert [backend.credential(hash, NOW) is not None for hash in (b"c1", b"c2", b"c3")] == [False, True, True]

    @pytest.mark.parametrize(
        "end",
        [
            lambda it: it.end_sessions(person(it).id),
            lambda it: it.block("jane@example.org", True),
            lambda it: it.unpin("jane@example.org"),
            lambda it: it.erase(person(it).id),
        ],
        ids=["everywhere", "block", "unpin", "erase"],
    )
    def test_whatever_ends_all_sign_ins_ends_credentials_and_allowed_pairings(self, backend, end):
        paired(backend)
        backend.add_pairing(again())
        backend.answer_pairing(again().code, NOW, person(backend).id, True)
        end(backend)
        assert backend.credential(b"c1", NOW) is None
        assert not backend.family_exists(PAIRING.family)
        assert backend.add_credential(again().hash, NOW, b"c2", END) is None

    def test_the_end_of_a_browser_session_ends_no_credential(self, backend):
        paired(backend)
        backend.add_session(replace(SESSION, user=person(backend).id))
        backend.end_session(SESSION.id_hash)
        assert backend.credential(b"c1", NOW)

    def test_a_sweep_deletes_what_has_expired(self, backend):
        paired(backend, expires_at=PAST)
        backend.add_pairing(replace(again(), expires_at=PAST))
        paired(backend, b"c2", again("desk", 3))
        backend.sweep()
        assert backend.credential(b"c1", PAST - 1) is None
        assert backend.pairing(again().hash, PAST - 1) is None
        assert backend.credential(b"c2", NOW)
