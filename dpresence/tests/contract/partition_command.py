"""``dpresence partitions`` in this process."""

from __future__ import annotations

from dpresence.commands.cli import main


def partition_command(ini, capsys, settings, *lines):
    """Write an ini; return a function that runs ``dpresence partitions`` and returns the exit status, the output and the error.

    :param lines: more lines of its ``[app:main]``.
    """
    app = [f"directory.url = {settings.storage.directory_url}", "tracker = redis", f"redis.url = {settings.redis.url}", *lines]
    ini.write_text("\n".join(["[app:main]", "use = egg:dpresence", *app, "[server:main]", "use = egg:dpresence"]))

    def run(*words):
        status = main(["--ini", str(ini), "partitions", *words])
        captured = capsys.readouterr()
        return status, captured.out.splitlines(), captured.err

    run.ini = str(ini)
    return run
