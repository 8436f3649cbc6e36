"""``dpresence partitions``: where the partitions of the tracker are, and moves between their servers."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import gevent

from ..backends.directory import PartitionMove
from ..backends.partition_states import BESIDE, refused_partitions, servers_beside, unavailable_servers
from ..backends.partitions import open_named, present_names, url_of
from ..errors import BackendUnavailable
from ..settings.allowed import redis_name, redis_url
from ..settings.storage import MAX_PARTITIONS
from .context import CommandFailed, Context, Subparsers, add, add_group

if TYPE_CHECKING:
    from ..backends.tracker.partition_keys import PartitionKeys
    from ..settings import RedisSettings


def add_commands(commands: Subparsers, common: argparse.ArgumentParser) -> None:
    """Add the commands of this module."""
    group = add_group(commands, "partitions", "the partitions of the tracker in Redis, and their servers")
    add(group, common, "list", "list the partitions with their servers, and a move that has not ended", _list)
    moving = add(group, common, "move", "move a partition to another server, while the service runs", _move)
    moving.add_argument("partition", type=int, help="its number")
    moving.add_argument("--to", metavar="URL", required=True, help="the other server: a URL, or its name as `partitions list` shows it")
    splitting = add(group, common, "split", "split a tracker of one partition into several, while the service runs", _split)
    splitting.add_argument(
        "--into",
        type=_partitions,
        metavar="N",
        required=True,
        help=f"number of partitions, up to {MAX_PARTITIONS}; 1 takes back a split that was interrupted while it copied",
    )
    replacing = add(group, common, "replace", "let a server have all partitions of one that is gone, without copying", _replace)
    replacing.add_argument("old", metavar="OLD", help="the server that is gone, or whose address has changed: its name or a URL")
    replacing.add_argument("new", metavar="NEW", help="the server that has its data: a URL, or its name")
    replacing.add_argument("--empty", action="store_true", help="let partitions without data there start empty")


def _partitions(text: str) -> int:
    """Parse a number of partitions; argparse turns the error into exit status 2."""
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and 1 <= int(text) <= MAX_PARTITIONS):
        raise argparse.ArgumentTypeError(f"must be 1 to {MAX_PARTITIONS}")
    return int(text)


def _list(_: argparse.Namespace, context: Context) -> None:
    servers, move = _stored(context), context.directory.partition_move()
    closed, away = refused_partitions(context.settings.redis, servers), unavailable_servers(context.settings.redis, servers)
    for number, server in enumerate(servers):
        state = ""
        if move and move.partition == number:
            state = _state(context, move, servers)
        elif number in closed:
            opens, result = (f"move {number} --to {server}", "opens it") if len(servers) > 1 else ("split --into N", "lets it start empty")
            state = f"closed: `dpresence partitions {opens}` {result}"
        elif server in away:
            state = f"the Redis {away[server]}"
        context.output.write(f"{number}  {server}{state and '  '}{state}", partition=number, server=server, state=state or "ok")
    for server in servers_beside(context.settings.redis, servers):
        context.output.write(f"{server}: {BESIDE}", server=server, error=BESIDE)


def _state(context: Context, move: PartitionMove, servers: tuple[str, ...]) -> str:
    from ..backends.partition_moves import describe
    from ..backends.tracker.redis_values import lock_key

    server, is_held = open_named(context.settings.redis, servers[move.partition]), False
    with suppress(BackendUnavailable):
        is_held = bool(server.command("EXISTS", lock_key(server, None if move.is_split else move.partition)))
    return describe(move, servers, is_held)


def _move(options: argparse.Namespace, context: Context) -> None:
    from ..backends.moving import Mover
    from ..backends.partition_moves import MoveRefused

    _require_servers(context)
    target = _name("--to", options.to, context)
    number = options.partition
    try:
        with (
            _naming("--to", target),
            _noting_interruption(context, lambda servers: (servers[number] == target, f"partition {number} is at {servers[number]}")),
        ):
            moved = Mover(context.directory, _keys_of(context)).move(number, target)
    except MoveRefused as error:
        raise CommandFailed(str(error)) from None
    text = f"partition {options.partition} is at {target}{moved.text}"
    context.output.write(text, partition=options.partition, server=target, keys=moved.keys, seconds=round(moved.seconds, 3))


def _split(options: argparse.Namespace, context: Context) -> None:
    from ..backends.partition_moves import MoveRefused, describe_count
    from ..backends.splitting import Splitter
    from ..backends.tracker.split_keys import SplitKeys

    _require_servers(context)
    redis = context.settings.redis
    server = redis_name(redis.tracker_urls[0])
    try:
        with _noting_interruption(context, lambda servers: (len(servers) == options.into, describe_count(len(servers)))):
            split = Splitter(context.directory, server, lambda name, mover: SplitKeys(open_named(redis, name), mover)).split(options.into)
    except MoveRefused as error:
        raise CommandFailed(str(error)) from None
    count = len(context.directory.partitions())
    text = f"{describe_count(count)}{split.text}"
    if count > 1:
        text += f". Set redis.partitions = {count} in every ini"
    context.output.write(text, partitions=count, server=server, keys=split.keys, seconds=round(split.seconds, 3))


@contextmanager
def _noting_interruption(context: Context, result: Callable[[Sequence[str]], tuple[bool, str]]) -> Iterator[None]:
    """Say after Ctrl-C or the deadline what has become of the change.

    :param result: returns from the servers of the partitions whether the change was made, and where the partitions are.
    """
    try:
        yield
    except (KeyboardInterrupt, gevent.Timeout):
        with suppress(BackendUnavailable):
            is_done, present = result(context.directory.partitions())
            ended = f"{'finished' if is_done else 'taken back'}: {present}"
            context.output.note("it has not ended: see `dpresence partitions list`" if context.directory.partition_move() else ended)
        raise


def _replace(options: argparse.Namespace, context: Context) -> None:
    from ..backends.partition_moves import MoveRefused
    from ..backends.replacing import Replacement

    _require_servers(context)
    old = options.old
    if "://" in old:
        if allowed := redis_url(old):
            raise CommandFailed(f"OLD: must be the name of a server, such as 10.0.0.22:6379/0, or {allowed}")
        old = redis_name(old)
    new, redis = _name("NEW", options.new, context), _with_names(context)
    try:
        with _naming("NEW", new):
            replaced = Replacement(context.directory, partial(open_named, redis), _keys_of(context)).replace(old, new, options.empty)
    except MoveRefused as error:
        raise CommandFailed(str(error)) from None
    for number in replaced.partitions:
        state = "empty" if number in replaced.empty else "ok"
        context.output.write(f"{number}  {new}{'  starts empty' if state == 'empty' else ''}", partition=number, server=new, state=state)


def _keys_of(context: Context) -> Callable[[str, int, str], PartitionKeys]:
    from ..backends.tracker.partition_keys import PartitionKeys

    redis = _with_names(context)
    return lambda server, partition, mover: PartitionKeys(open_named(redis, server), partition, mover)


def _with_names(context: Context) -> RedisSettings:
    """Return settings with which errors name the server, also if the ini still has the number from before a split."""
    redis = context.settings.redis
    return replace(redis, partitions=max(redis.partitions, 2))


@contextmanager
def _naming(argument: str, server: str) -> Iterator[None]:
    """Name the argument in an error about its server, instead of a setting, with what is to be done about that server.

    :param server: its name.
    """
    from ..backends.redis.state import NO_PRIMARY, REPLICA, STATES

    advice = {STATES[REPLICA]: f"is a replica: promote {argument} first", STATES[NO_PRIMARY]: "is no primary that the Sentinels agree on"}
    try:
        yield
    except BackendUnavailable as error:
        if error.backend.endswith(f"the Redis {server}"):
            error.backend = f"{argument}: the Redis {server}"
            error.reason = advice.get(error.reason, error.reason)
        raise


def _require_servers(context: Context) -> None:
    """Check that the directory decides where partitions are.

    :raises CommandFailed: it does not.
    """
    _stored(context)
    if context.settings.redis.cluster:
        raise CommandFailed("a Redis Cluster decides where its partitions are: `redis-cli --cluster` moves their slots")


def _stored(context: Context) -> tuple[str, ...]:
    """Return the servers of the partitions.

    :raises CommandFailed: the tracker has no partitions.
    """
    if context.settings.storage.tracker != "redis":
        raise CommandFailed("the tracker is not in Redis, so it has no partitions")
    found = tuple(context.directory.partitions())
    if not found:
        raise CommandFailed("no service with its tracker in Redis has been started yet")
    redis = context.settings.redis
    return tuple(present_names(redis, found)) if len(found) > 1 else (redis_name(redis.tracker_urls[0]),)


def _name(argument: str, given: str, context: Context) -> str:
    """Return the name of a server that is given as its URL or its name.

    :param argument: name of the argument, for errors.
    :raises CommandFailed: it is neither, or the services would reach the server by another URL.
    """
    redis = context.settings.redis
    url = given if "://" in given else url_of(redis, given)
    allowed = redis_url(url)
    if allowed:
        raise CommandFailed(f"{argument}: must be the name of a server, such as 10.0.0.22:6379/0, or {allowed}")
    name = redis_name(url)
    used, wanted = urlsplit(url_of(redis, name)), urlsplit(url)
    credentials = wanted.netloc.rpartition("@")[0]
    if wanted.scheme != used.scheme or credentials not in ("", used.netloc.rpartition("@")[0]):
        raise CommandFailed(
            f"{argument}: services would reach {name} with the scheme, user and password of another URL: add yours to redis.urls first"
        )
    return name
