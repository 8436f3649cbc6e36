"""Scripts for Redis, assembled from Lua modules.

Redis executes a script as one chunk and has no ``require``. So each module becomes a function of the script, which ``require`` calls when
the module is first needed. The modules are the files of the folder ``lua`` of a role; each one returns a table.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from redis.exceptions import NoScriptError

from .connection import RedisConnection, ask

_REQUIRE = """\
local modules, loaded = {}, {}
local function require(name)
  local module = loaded[name]
  if not module then
    module = modules[name]()
    loaded[name] = module
  end
  return module
end
"""


def script(package: str, name: str) -> bytes:
    """Return the script that executes a module.

    :param package: the package of a role; any module of its folder ``lua`` may be required.
    :param name: the module without its suffix.
    """
    texts = {file.name.removesuffix(".lua"): file.read_text(encoding="utf-8") for file in (files(package) / "lua").iterdir()}
    main = texts.pop(name)
    modules = (f"modules['{module}'] = function()\n{text}end\n" for module, text in sorted(texts.items()))
    return (_REQUIRE + "".join(modules) + main).encode()


class Script:
    """A script on one connection. It is loaded again if the server has forgotten it (``SCRIPT FLUSH``). Raises the driver's errors."""

    def __init__(self, connection: RedisConnection, text: bytes) -> None:
        self._connection = connection
        self._text = text
        self._load()

    def execute(self, *arguments: bytes) -> Any:
        """Execute the script and return its reply."""
        try:
            return ask(self._connection, "EVALSHA", self._digest, 0, *arguments)
        except NoScriptError:  # it was not executed
            self._load()
            return ask(self._connection, "EVALSHA", self._digest, 0, *arguments)

    def _load(self) -> None:
        self._digest = ask(self._connection, "SCRIPT", "LOAD", self._text)
