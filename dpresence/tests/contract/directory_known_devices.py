"""Contract of every directory for what is known of devices. A part of the contract of its own; see ``directory``."""

from __future__ import annotations

import pytest

from dpresence.model import KnownDevice

from .directory_values import IDENTITY, NOW


def phone(user: str, name: str = "phone", **more: str) -> KnownDevice:
    return KnownDevice(user, name, given="Phone", kind="phone", seen_on=more.get("seen_on", "2026-11-22"))


class KnownDevicesContract:
    def test_the_report_of_a_device_is_stored_and_its_label_stays(self, backend):
        user = backend.sign_in(IDENTITY, NOW).id
        backend.record_device(phone(user))
        assert backend.rename_device(user, "phone", "Mine").label == "Mine"
        backend.record_device(KnownDevice(user, "phone", given="Tablet", kind="other", seen_on="2026-11-23"))
        assert list(backend.known_devices(user)) == [KnownDevice(user, "phone", "Tablet", "Mine", "other", "2026-11-23")]

    def test_a_device_may_be_named_before_it_says_anything(self, backend):
        user = backend.sign_in(IDENTITY, NOW).id
        assert backend.rename_device(user, "lamp", "Kitchen") == KnownDevice(user, "lamp", label="Kitchen")

    def test_without_the_account_nothing_is_stored(self, backend):
        backend.record_device(phone("nobody"))
        assert backend.rename_device("nobody", "phone", "Mine") is None
        assert list(backend.known_devices("nobody")) == []

    @pytest.mark.slow
    def test_the_ones_that_were_not_seen_for_longest_make_room(self, backend):
        user = backend.sign_in(IDENTITY, NOW).id
        for n in range(55):
            backend.record_device(phone(user, f"d{n:02}", seen_on=f"2026-{1 + n // 28:02}-{1 + n % 28:02}"))
        backend.rename_device(user, "never-seen", "Mine")
        names = [item.device for item in backend.known_devices(user)]
        assert len(names) == 50 and names[-1] == "never-seen" and "d05" not in names and "d54" in names

    def test_a_sign_out_of_the_device_and_an_erasure_delete_it(self, backend):
        user = backend.sign_in(IDENTITY, NOW).id
        for name in ("phone", "tablet"):
            backend.record_device(phone(user, name))
        backend.sign_out_device(user, "phone")
        assert [item.device for item in backend.known_devices(user)] == ["tablet"]
        backend.erase(user)
        assert list(backend.known_devices(user)) == []
