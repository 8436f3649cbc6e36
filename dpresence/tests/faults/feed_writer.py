"""A process that changes the statuses of users of an application, whatever happens to the stores meanwhile.

    python -m dpresence.tests.faults.feed_writer INI APPID ENTRIES PER_SECOND

It prints a line for each hundredth part, and then waits: its devices stay connected until its input ends.
"""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import sys  # noqa: E402
from contextlib import suppress  # noqa: E402
from pathlib import Path  # noqa: E402

import gevent  # noqa: E402

from dpresence.backends import load  # noqa: E402
from dpresence.backends.tracker import StaleGrants  # noqa: E402
from dpresence.clock import Clock  # noqa: E402
from dpresence.errors import BackendUnavailable  # noqa: E402
from dpresence.ini import load as load_settings  # noqa: E402
from dpresence.ini_file import read_section  # noqa: E402


def main(ini: Path, appid: str, entries: int, per_second: float) -> None:
    """Write the entries, the same number for each user."""
    section = {key: value for key, value in read_section(ini, "app:main").items() if key != "use"}
    backends = load(load_settings(section, str(ini.parent)), Clock())
    directory, tracker = backends.directory, backends.tracker
    users = [grant.user for grant in directory.grants_of_application(appid, "", 500)]
    grants = {user: directory.grants_of_user(user) for user in users}
    gevent.spawn(_renew_for_ever, tracker)
    for user in users:
        tracker.connect(user, "writer", f"writer-{user}", "offline", grants[user], 20, 0)
    for number in range(entries):
        user = users[number % len(users)]
        status = ("online", "unavailable")[number // len(users) % 2]
        while not _try(lambda: tracker.update(user, "writer", f"writer-{user}", status, grants[user]), tracker, user, grants[user]):  # noqa: B023
            gevent.sleep(0.1)
        if number % (entries // 100) == 0:
            print(number * 100 // entries, flush=True)
        gevent.sleep(1 / per_second)
    print(100, flush=True)
    sys.stdin.read()


def _try(update, tracker, user, grants):
    try:
        if update():
            return True
        tracker.connect(user, "writer", f"writer-{user}", "offline", grants, 20, 0)  # the store has lost the device
    except (BackendUnavailable, StaleGrants):
        pass
    return False


def _renew_for_ever(tracker):
    while True:
        gevent.sleep(2)
        with suppress(BackendUnavailable):
            tracker.renew()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
