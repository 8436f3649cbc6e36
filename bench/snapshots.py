"""``make growth``: what a snapshot costs by the number of grants, and that of a very large application in memory, time and scripts."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dpresence.tests.contract import redis
from dpresence.tests.live.clients import Channel
from dpresence.tests.live.service import cpu_seconds

from .files import allow_open_files
from .growth import MIB, PROBES, Scene, databases, row, scene, table
from .load import Load
from .seed import puids_of

SLOW_US = 1000
"""Redis lists scripts that take longer."""
CHUNK = 1000
PATIENCE_SECONDS = 300


@dataclass
class SnapshotCost:
    """Cost of a snapshot.

    :param cpu: seconds of CPU.
    :param more: bytes by which the service has grown.
    :param longest_ms: the longest time that another device waited for an answer meanwhile.
    """

    cpu: float
    more: int
    longest_ms: float


def snapshot_cost(grants: int) -> SnapshotCost:
    """Measure a snapshot of an application that so many people granted."""
    with scene(grants) as made:
        memory, before = made.server.pss_bytes(), made.server.cpu_seconds()
        read_snapshot(made, grants)
        cost, more = made.server.cpu_seconds() - before, made.server.pss_bytes() - memory
        with Load() as probe:
            probe.do("devices", port=made.server.port, people=made.people[:1])
            probe.start("rate", seconds=max(2.0, grants / 20_000), per_second=PROBES)
            read_snapshot(made, grants)
            return SnapshotCost(cost, more, probe.result()["max_ms"])


def by_grants(numbers: Sequence[int]) -> None:
    """Print the cost of a snapshot by how many people granted the application, and for how long nobody else was answered."""
    table("grants", "ms of CPU per snapshot", "us per grant", "longest answer meanwhile, ms", "MiB more after it")
    for grants in numbers:
        cost = snapshot_cost(grants)
        row(grants, f"{cost.cpu * 1e3:.0f}", f"{cost.cpu / grants * 1e6:.1f}", cost.longest_ms, f"{cost.more / MIB:.0f}")


def read_snapshot(made: Scene, grants: int) -> None:
    """Have an app service receive its snapshot."""
    with Load() as load:
        seen = load.do("watch", port=made.server.port, appid=made.keys[0][0], key=made.keys[0][1], seconds=PATIENCE_SECONDS)
        assert sum(seen["snapshot"].values()) == grants, seen


def of_a_large_application(grants: int) -> None:
    """Print the cost of a snapshot over Redis that is interrupted in the middle, when everybody has an entry in the feed."""
    heads = "grants", "database", "s", "s of CPU", "s of CPU of Redis", "MiB before", "MiB at most", "MiB of Redis"
    table(*heads, f"scripts > {SLOW_US} us", "longest, ms")
    for name, url in databases():
        with ExitStack() as stack:
            server = stack.enter_context(redis.running())
            made = stack.enter_context(scene(grants, url=url, tracker="redis", **{"redis.url": server.url}))
            appid, _ = made.keys[0]
            fill(server.client, appid, puids_of(url or made.server.ini.parent / "live.db", appid))
            row(grants, name, *cost_over_redis(made, server, grants))


def fill(client: Any, appid: str, puids: Sequence[str]) -> None:
    """Write a feed in which everybody has been online for so long that the log is empty."""
    at = int(time.time()) * 1000
    for first in range(0, len(puids), CHUNK):
        some = {puid: f"{offset} {puid} online {at} explicit" for offset, puid in enumerate(puids[first : first + CHUNK], first + 1)}
        client.hset(f"dpresence:t:view:{appid}", mapping=some)
    client.hset(f"dpresence:t:feed:{appid}", mapping={"head": len(puids), "floor": len(puids), "size": len(puids)})


def cost_over_redis(made: Scene, server: Any, grants: int) -> Iterator[str]:
    """Yield the figures of a row, after the first two."""
    pid = made.server.pid
    Path(f"/proc/{pid}/clear_refs").write_text("5")  # the peak of the memory begins anew
    server.client.config_set("slowlog-log-slower-than", SLOW_US)
    server.client.config_set("slowlog-max-len", 100_000)
    server.client.slowlog_reset()
    memory, began, cpu, of_redis = peak_bytes(pid), time.monotonic(), made.server.cpu_seconds(), cpu_seconds(server.process.pid)
    assert read_in_two_parts(made) == grants
    yield f"{time.monotonic() - began:.0f}"
    yield f"{made.server.cpu_seconds() - cpu:.1f}"
    yield f"{cpu_seconds(server.process.pid) - of_redis:.1f}"
    yield from (f"{size / MIB:.0f}" for size in (memory, peak_bytes(pid), server.client.info("memory")["used_memory"]))
    slow = server.client.slowlog_get(100_000)
    yield str(len(slow))
    yield f"{max((one['duration'] for one in slow), default=0) / 1000:.1f}"


def peak_bytes(pid: int) -> int:
    """Return the most memory that a process has had since ``clear_refs``."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def read_in_two_parts(made: Scene) -> int:
    """Read half of a snapshot, lose the connection, and read the rest; return the number of users."""
    appid, key = made.keys[0]
    count, last, resume, continued = 0, "", None, False
    while True:
        channel = Channel(made.server.origin, f"/myapps/{appid}", max_size=None)
        assert channel.ask(action="auth", key=key, **({"since": resume} if resume else {}))["recovery"] == "snapshot"
        while True:
            frame = json.loads(channel.socket.recv(timeout=PATIENCE_SECONDS))
            assert frame.get("continued", False) is (resume is not None and not continued)
            continued = resume is not None
            puids = [entry["puid"] for entry in frame["snapshot"]]
            assert [last, *puids] == sorted({last, *puids}), "in order, each once"
            count, last = count + len(puids), (puids or [last])[-1]
            if frame["last"]:
                channel.close()
                return count
            if resume is None and count >= len(made.people) / 2:
                resume = frame["resume"]
                channel.close()
                break


def main() -> None:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(prog="python -m bench.snapshots", description=__doc__.partition("\n")[0])
    parser.add_argument("--grants", type=lambda text: [int(one) for one in text.split(",") if one], default=[1_000, 50_000, 500_000])
    parser.add_argument("--large", type=int, default=1_000_000, help="grants of the large application (1000000); 0 leaves it out")
    given = parser.parse_args()
    allow_open_files()
    print(f"{time.strftime('%Y-%m-%d')}")
    if given.grants:
        by_grants(given.grants)
    if given.large:
        of_a_large_application(given.large)


if __name__ == "__main__":
    main()
