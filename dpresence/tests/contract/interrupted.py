"""Commands that are killed between two steps of a change of partitions."""

from __future__ import annotations

from dpresence.backends.tracker.partition_keys import PartitionKeys


class Interrupted(BaseException):
    """The command is killed."""


def interrupted(keys: type[PartitionKeys], at: int) -> type[PartitionKeys]:
    """Return keys that execute so many steps and then no further one, as if their process was killed."""
    left = at

    class Killed(keys):  # type: ignore[misc,valid-type]
        def step(self, name, *arguments):
            nonlocal left
            left -= 1
            if left < 0:
                raise Interrupted
            return super().step(name, *arguments)

        def signal(self):
            self.step("hold")
            super().signal()

    return Killed
