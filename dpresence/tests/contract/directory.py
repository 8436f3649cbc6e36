"""Contract of every directory. Subclasses give ``backend`` (empty, open) and ``lost`` (its store has been lost)."""

from __future__ import annotations

import pytest

from dpresence.backends.directory import Directory, PartitionMove
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
        assert backend.claim_partitions(["b"]) == ["a", "b", "a"] == backend.partitions()

    def test_a_partition_moves_once_its_move_is_stored(self, backend):
        backend.claim_partitions(["a", "b", "a"])
        move = PartitionMove("m", 1, "b", "c")
        assert backend.partition_move() is None
        assert backend.begin_partition_move(move)
        assert backend.partition_move() == move
        assert backend.switch_partition("m")
        assert backend.partitions() == ["a", "c", "a"]
        backend.end_partition_move("m")
        assert backend.partition_move() is None
        assert not backend.switch_partition("m")

    @pytest.mark.parametrize(("number", "source"), [(0, "b"), (1, "a"), (3, "a")])
    def test_a_move_begins_only_where_its_partition_is(self, backend, number, source):
        backend.claim_partitions(["a", "b", "a"])
        assert not backend.begin_partition_move(PartitionMove("m", number, source, "c"))
        assert backend.partition_move() is None

    def test_one_move_at_a_time_begins(self, backend):
        backend.claim_partitions(["a", "b"])
        assert backend.begin_partition_move(PartitionMove("m", 1, "b", "c"))
        assert not backend.begin_partition_move(PartitionMove("n", 0, "a", "c"))

    def test_a_mover_whose_move_was_taken_over_switches_nothing(self, backend):
        backend.claim_partitions(["a", "b"])
        backend.begin_partition_move(PartitionMove("m", 1, "b", "c"))
        assert backend.take_over_partition_move("m", "n")
        assert not backend.take_over_partition_move("m", "o")
        assert not backend.switch_partition("m")
        backend.end_partition_move("m")
        assert backend.partitions() == ["a", "b"]
        assert backend.partition_move() == PartitionMove("n", 1, "b", "c")

    def test_the_single_partition_is_split_once_that_is_stored(self, backend):
        backend.claim_partitions([""])
        assert not backend.split_partition("m", ["a", "a"])
        assert backend.begin_partition_move(PartitionMove("m", 0, "", "a"))
        assert backend.split_partition("m", ["a", "b", "a"])
        assert backend.partitions() == ["a", "b", "a"]
        backend.end_partition_move("m")
        assert not backend.begin_partition_move(PartitionMove("n", 0, "", "a"))

    def test_a_server_is_replaced_for_all_of_its_partitions_unless_one_moves(self, backend):
        backend.claim_partitions(["a", "b", "a"])
        assert not backend.replace_partition_server("c", "d")
        assert backend.replace_partition_server("a", "c")
        assert backend.partitions() == ["c", "b", "c"]
        assert backend.partition_move() is None
        backend.begin_partition_move(PartitionMove("m", 1, "b", "c"))
        assert not backend.replace_partition_server("c", "d")
        assert (backend.partitions(), backend.partition_move().id) == (["c", "b", "c"], "m")

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
