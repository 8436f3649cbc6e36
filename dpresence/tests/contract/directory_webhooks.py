"""Contract of the directory: webhooks, who sends them, and their attempts. A part of the contract of its own; see ``directory``."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dpresence.errors import DomainNotValidated, NotFound, SessionEnded
from dpresence.model.webhooks import Webhook, WebhookAttempt

from .directory_values import APPLICATION, NOW, application, at_once, person

DOMAIN = APPLICATION.domain
WEBHOOK = Webhook("app-1", f"https://{DOMAIN}/hook", "presence", "whsec_x", NOW)
ATTEMPT = WebhookAttempt("app-1", NOW, "presence.updates", "delivered", 204, "", 20, entries=2, cursor="e:1")
DAY_MS = 86_400_000
REFUSED = replace(ATTEMPT, outcome="status", status=500, error="status 500")


class WebhooksContract:
    @pytest.fixture
    def developer(self, backend):
        return person(backend, "dev")

    @pytest.fixture
    def hooked(self, backend, developer):
        made = application(backend, developer)
        backend.change_application(made.id, {"active": True, "validated_scheme": "https"})
        assert backend.put_webhook(WEBHOOK, DOMAIN, developer)
        return made

    def test_a_webhook_is_kept_as_it_is(self, backend, hooked):
        assert backend.webhook("app-1") == WEBHOOK
        assert backend.webhook("app-2") is None

    def test_a_second_one_changes_the_url_and_turns_it_on(self, backend, hooked):
        off = {"off_at": NOW, "off_reason": "gone", "failures": 3, "failing_since": NOW, "next_at": NOW, "cursor": "e:9"}
        backend.change_webhook("app-1", off)
        assert not backend.put_webhook(replace(WEBHOOK, url=f"https://{DOMAIN}/other", secret="whsec_other"), DOMAIN)
        assert backend.webhook("app-1") == replace(WEBHOOK, url=f"https://{DOMAIN}/other", cursor="e:9")

    def test_only_the_owner_of_a_validated_domain_makes_one(self, backend, developer):
        with pytest.raises(NotFound):
            backend.put_webhook(WEBHOOK, DOMAIN)
        application(backend, developer)
        with pytest.raises(DomainNotValidated):
            backend.put_webhook(WEBHOOK, DOMAIN, developer)
        backend.change_application("app-1", {"validated_scheme": "https"})
        with pytest.raises(DomainNotValidated):
            backend.put_webhook(WEBHOOK, "other.example.org", developer)
        for change in (backend.delete_webhook, lambda appid, other: backend.change_webhook(appid, {}, other)):
            with pytest.raises(SessionEnded):
                change("app-1", person(backend, "joe"))
        assert backend.webhook("app-1") is None

    def test_it_ends_with_its_application_its_owner_or_its_domain(self, backend, developer, hooked):
        backend.record_attempt(ATTEMPT)
        assert backend.delete_webhook("app-1", developer) and not backend.delete_webhook("app-1", developer)
        assert list(backend.webhook_attempts("app-1", 10)) == []
        backend.put_webhook(WEBHOOK, DOMAIN)
        backend.move_application("app-1", {"domain": "new.example.org"})
        assert backend.webhook("app-1") is None
        backend.change_application("app-1", {"domain": DOMAIN})
        backend.put_webhook(WEBHOOK, DOMAIN)
        backend.record_attempt(ATTEMPT)
        backend.erase(developer.id)
        assert backend.webhook("app-1") is None and list(backend.webhook_attempts("app-1", 10)) == []

    def test_one_process_at_a_time_leases_it(self, backend, hooked):
        taken = at_once(*[lambda sender=sender: backend.lease_webhooks(sender, 60, 20, 10) for sender in ("a", "b")])
        assert sorted(map(list, taken)) == [[], ["app-1"]]
        holder = "ab"[taken.index(next(one for one in taken if one))]
        assert backend.leased_webhook("app-1", holder) == WEBHOOK
        assert backend.leased_webhook("app-1", "ab".replace(holder, "")) is None
        backend.release_webhooks("c")
        assert list(backend.lease_webhooks("c", 60, 20, 10)) == []
        backend.release_webhooks(holder)
        assert backend.leased_webhook("app-1", holder) is None
        assert list(backend.lease_webhooks("c", 60, 20, 10)) == ["app-1"]

    def test_the_only_process_ends_the_leases_of_all_former_ones(self, backend, hooked):
        assert list(backend.lease_webhooks("killed", 60, 20, 10)) == ["app-1"]
        assert list(backend.lease_webhooks("new", 60, 20, 10)) == []
        backend.release_webhooks(None)
        assert list(backend.lease_webhooks("new", 60, 20, 10)) == ["app-1"]

    def test_a_lease_that_is_not_renewed_ends(self, backend, hooked):
        assert list(backend.lease_webhooks("a", 0, 0, 10)) == []
        assert list(backend.lease_webhooks("b", 15, 20, 10)) == ["app-1"]
        assert list(backend.lease_webhooks("b", 60, 20, 0)) == ["app-1"], "renewed, although it may lease no other"
        assert list(backend.lease_webhooks("a", 60, 20, 10)) == []

    @pytest.mark.parametrize("changes", [{"active": False}, {"validated_scheme": None}])
    def test_that_of_an_inactive_application_is_not_leased(self, backend, hooked, changes):
        assert list(backend.lease_webhooks("a", 60, 20, 10)) == ["app-1"]
        backend.change_application("app-1", changes)
        assert list(backend.lease_webhooks("a", 60, 20, 10)) == []
        assert backend.leased_webhook("app-1", "a") is None

    def test_an_attempt_moves_it_forward_unless_it_was_changed(self, backend, hooked):
        backend.lease_webhooks("a", 60, 20, 10)
        ahead = replace(WEBHOOK, cursor="e:3")
        assert backend.record_attempt(ATTEMPT, WEBHOOK, ahead, "a")
        assert not backend.record_attempt(ATTEMPT, WEBHOOK, replace(WEBHOOK, cursor="e:4"), "a")
        assert not backend.record_attempt(ATTEMPT, ahead, replace(WEBHOOK, cursor="e:4"), "b")
        assert backend.webhook("app-1") == ahead
        assert list(backend.webhook_attempts("app-1", 10)) == [replace(ATTEMPT, attempts=3, entries=6)]
        assert not backend.record_attempt(replace(ATTEMPT, appid="app-2"))

    def test_one_process_at_a_time_tells_the_owner_that_it_was_turned_off(self, backend, hooked):
        off = self.turned_off(backend)
        claimed = at_once(*[lambda: backend.claim_turned_off(DAY_MS, 60_000) for _ in "ab"])
        assert sorted(claimed, key=bool) == [None, off]
        backend.record_owner_mail(off, 0)
        assert backend.claim_turned_off(DAY_MS, 0) == off, "not told: at once again"
        assert backend.claim_turned_off(DAY_MS, 60_000) == off, "the process that claimed it has ended"
        backend.record_owner_mail(replace(off, off_at=off.off_at - 1), None)
        assert backend.claim_turned_off(DAY_MS, 0) is None
        backend.record_owner_mail(off, 0)
        backend.record_owner_mail(off, None)
        assert backend.claim_turned_off(DAY_MS, 0) is None, "told"

    def test_nobody_is_told_of_what_is_on_again_or_was_turned_off_long_ago(self, backend, hooked):
        off = self.turned_off(backend)
        assert backend.claim_turned_off(0, 0) is None
        backend.put_webhook(WEBHOOK, DOMAIN)
        assert backend.claim_turned_off(DAY_MS, 0) is None
        assert self.turned_off(backend) == off == backend.claim_turned_off(DAY_MS, 60_000)
        assert backend.webhook("app-1") == off

    def turned_off(self, backend):
        backend.lease_webhooks("a", 60, 20, 10)
        off = replace(WEBHOOK, off_at=NOW, off_reason="gone")
        assert backend.record_attempt(REFUSED, WEBHOOK, off, "a")
        return off

    def test_only_successes_of_one_minute_and_kind_are_one_entry(self, backend, hooked):
        later = replace(ATTEMPT, at=NOW + 30_000, milliseconds=90, status=200)
        for attempt in (ATTEMPT, later, REFUSED, REFUSED, replace(later, type="webhook.test"), replace(ATTEMPT, at=NOW + 61_000)):
            backend.record_attempt(attempt)
        newest = list(backend.webhook_attempts("app-1", 10))
        assert [(one.type, one.outcome, one.attempts) for one in newest] == [
            ("presence.updates", "delivered", 1),
            ("webhook.test", "delivered", 1),
            ("presence.updates", "status", 1),
            ("presence.updates", "status", 1),
            ("presence.updates", "delivered", 2),
        ]
        assert newest[-1] == replace(ATTEMPT, attempts=2, entries=4, milliseconds=90, status=200)
        assert len(backend.webhook_attempts("app-1", 2)) == 2

    def test_the_newest_attempts_of_each_webhook_are_stored(self, backend, hooked):
        for number in range(503):
            backend.record_attempt(replace(REFUSED, milliseconds=number))
        assert [one.milliseconds for one in backend.webhook_attempts("app-1", 1000)] == [*range(502, 2, -1)]

    def test_old_attempts_are_swept(self, backend, hooked):
        for days in (8, 6):
            backend.record_attempt(replace(REFUSED, at=NOW - days * 86_400_000))
        backend.sweep()
        assert [attempt.at for attempt in backend.webhook_attempts("app-1", 10)] == [NOW - 6 * 86_400_000]
