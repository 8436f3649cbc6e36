"""Collects what the parts of a process measure, for ``service.operator_metrics``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .backends import Backends
from .channels.gate import Gate
from .identity.oidc_client import Clients
from .measures import StoreMeasures
from .runtime import RuntimeMeasures
from .service import Services


class Observation:
    """The gauges and counts of one process, by key; see ``measures``.

    :ivar runtime: measures the event loop and the garbage collector while the process serves.
    """

    def __init__(self, services: Services, gate: Gate, backends: Backends, clients: Clients) -> None:
        self.runtime = RuntimeMeasures()
        self._services = services
        self._gate = gate
        self._mailbox = backends.mailbox
        self._backends = backends
        self._clients = clients
        self._counted: dict[StoreMeasures, None] = {}

    def _stores(self) -> list[StoreMeasures]:
        """Return the measures of each store; the servers of the tracker change when a partition is moved."""
        backends = self._backends
        stores = (backends.directory.measures, *backends.tracker.measures, backends.mailbox.measures)
        return [measures for measures in stores if measures is not None]

    def gauges(self) -> dict[str, float]:
        """Return the present gauges."""
        services, found = self._services, _sum(measures.gauges() for measures in self._stores())
        found |= {f"provider_up {name}": float(client.reached) for name, client in self._clients.providers.items()}
        found |= {"retry_operations": len(services.retries), "feed_lag_seconds": services.fan_out.lag_seconds}
        found |= services.webhook_sender.gauges() | services.operator_metrics.waiting
        return found | self._connections()

    def counts(self) -> dict[str, float]:
        """Return the counts so far."""
        self._counted |= dict.fromkeys(self._stores())  # a count must not decrease when the last partition leaves a server
        found = self.runtime.counts() | _sum(measures.counts() for measures in self._counted)
        self._services.webhook_sender.seconds.add_to(found, "webhook")
        return found | {f"notifications {reason}": count for reason, count in self._mailbox.discarded.items()}

    def _connections(self) -> dict[str, float]:
        hub, gate = self._services.hub.counts(), self._gate.counts()
        signed_in = hub["devices"] + hub["applications"]
        return {
            **hub,
            **gate,
            "application_channels": hub["applications"],
            "channels_behind": gate["behind"],
            "sockets_limit": gate["most"],
            "sockets http waiting": gate["waiting"],
            "sockets http busy": gate["sockets"] - gate["channels"] - gate["waiting"],
            "sockets channel unsigned": gate["unsigned"],
            "sockets channel closing": max(0, gate["channels"] - gate["unsigned"] - signed_in),
            "sockets device signed_in": hub["devices"],
            "sockets application signed_in": hub["applications"],
        }


def _sum(samples: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Return the sums by key: stores may have the same name."""
    found: dict[str, float] = {}
    for sample in samples:
        for key, value in sample.items():
            found[key] = found.get(key, 0) + value
    return found
