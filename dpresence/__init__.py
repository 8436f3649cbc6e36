"""dpresence: a presence service. ``main`` is the app factory that ``use = egg:dpresence`` finds.

Light on purpose: the server is built before the app and must be able to patch the standard library first, so nothing
that imports ssl may be imported here.
"""

from __future__ import annotations

import sys
from typing import Any

from .build_info import BUILD

RELEASE = "0.1.0"
__version__ = f"{RELEASE}+g{BUILD['commit'][:12]}" if "commit" in BUILD else RELEASE

if "paste.deploy.loadwsgi" in sys.modules:  # pserve is about to read the sections; its logging imports this package first
    from .ini_file import read_raw

    read_raw()


def main(global_config: dict[str, str], **ini: str) -> Any:
    """Return the WSGI application of an ini's ``[app:main]``.

    :param global_config: PasteDeploy's own values; ``here`` is the folder of the ini, ``__file__`` the ini.
    :raises SettingError: a setting that stops the start, with key, value and what is allowed.
    """
    from .app import check_app, make_app
    from .worker import only_checks

    if only_checks():
        return check_app(ini, global_config["here"])
    return make_app(ini, global_config["here"], file=global_config.get("__file__", "development.ini"))
