"""Scripts for Redis, assembled from Lua modules.

Redis executes a script as one chunk and has no ``require``. So each module becomes a function of the script, which ``require`` calls when
the module is first needed. The modules are the files of the folder ``lua`` of a role; each one returns a table.
"""

from __future__ import annotations

from importlib.resources import files
from typing import cast

from .connections import RedisConnection, ask

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


def load(connection: RedisConnection, text: bytes) -> bytes:
    """Load a script into the server and return its SHA1 digest."""
    return cast("bytes", ask(connection, "SCRIPT", "LOAD", text))
