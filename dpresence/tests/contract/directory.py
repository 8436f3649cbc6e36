"""Contract of every directory. Subclasses give ``backend`` (empty, open) and ``lost`` (its store has been lost)."""

from __future__ import annotations

import pytest

from dpresence.backends.directory import Directory
from dpresence.errors import BackendUnavailable
from dpresence.tests.support import body_of

from .directory_applications import ApplicationContract
from .directory_authority import AuthorityContract
from .directory_grants import GrantContract
from .directory_known_devices import KnownDevicesContract
from .directory_logouts import LogoutContract
from .directory_looks import LooksContract
from .directory_operator import OperatorContract
from .directory_outbox import OutboxContract
from .directory_outcomes import OutcomesContract
from .directory_pairings import PairingContract
from .directory_people import AccountContract, SessionContract
from .directory_pushes import PushContract
from .directory_schedule import ScheduleContract
from .directory_succession import SuccessionContract
from .directory_tickets import TicketContract
from .directory_values import CALLS
from .directory_webhooks import WebhooksContract


class DirectoryContract(
    AccountContract,
    AuthorityContract,
    SessionContract,
    SuccessionContract,
    TicketContract,
    LogoutContract,
    PairingContract,
    KnownDevicesContract,
    PushContract,
    ApplicationContract,
    GrantContract,
    LooksContract,
    OutcomesContract,
    OutboxContract,
    ScheduleContract,
    OperatorContract,
    WebhooksContract,
):
    def test_the_stamp_that_was_written_first_stands(self, backend):
        assert backend.claim_mode("development") == "development"
        assert backend.claim_mode("production") == "development"

    def test_the_partitions_that_were_written_first_stand(self, backend):
        assert backend.partitions() == []
        assert backend.claim_partitions(["a", "b", "a"]) == ["a", "b", "a"]
        assert backend.claim_partitions(["b"]) == backend.partitions() == ["a", "b", "a"]

    def test_a_reachable_store_answers_a_ping(self, backend):
        assert backend.ping() is None

    def test_every_method_is_tried_on_a_lost_store(self):
        assert set(CALLS) == Directory.__abstractmethods__ - {"close"}

    @pytest.mark.parametrize("method", CALLS)
    def test_a_lost_store_is_unavailable_and_nothing_else(self, lost, method):
        with pytest.raises(BackendUnavailable) as caught:
            CALLS[method](lost)
        assert body_of(caught.value) == {"result": "KO", "errno": 201, "error": BackendUnavailable.text, "retry_after": 5}

    def test_closing_twice_is_harmless(self, backend):
        backend.close()
        backend.close()
