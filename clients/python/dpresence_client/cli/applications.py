"""The commands of a developer: ``apps list``, ``register`` and so on."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any, Dict, List
from urllib.parse import quote

from ..credentials import DevelopmentIssuer
from ..errors import InvalidCredentials
from ..rest import Rest
from .output import Output

_NO_ASSERTION = (
    "no credentials: set DPRESENCE_ASSERTION to an ID token of your identity provider, "
    "or give --email and --token-file for a development service"
)
_ACTIONS = {
    "validate": ("POST", "/validate", "prove the application's domain"),
    "activate": ("POST", "/activate", "activate an application; prints its API key, once"),
    "deactivate": ("POST", "/deactivate", "deactivate an application"),
    "key": ("POST", "/key", "make a new API key; the previous one works for another day"),
    "delete": ("DELETE", "", "delete an application and its grants"),
    "show": ("GET", "", "show an application"),
    "now": ("GET", "/now", "count its users by status"),
}


def add_commands(commands: Any) -> None:
    """Add the commands to the parser."""
    apps = commands.add_parser("apps", help="register and manage your applications")
    apps.add_argument("--email", help="your address, at a development service")
    apps.add_argument("--token-file", type=Path, default=Path("development.token"), help="default: %(default)s")
    actions = apps.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("list", help="list your applications").set_defaults(run=_list)
    register = actions.add_parser("register", help="register an application")
    register.add_argument("name")
    register.add_argument("domain")
    register.add_argument("--description", default="")
    register.set_defaults(run=_register)
    for name, (_, _, text) in _ACTIONS.items():
        action = actions.add_parser(name, help=text)
        action.add_argument("appid")
        action.set_defaults(run=_act)


def _rest(options: argparse.Namespace) -> Rest:
    assertion = os.environ.get("DPRESENCE_ASSERTION", "")
    if options.email:
        assertion = DevelopmentIssuer(options.service, options.email, options.token_file.read_text(encoding="utf-8"))()
    if not assertion:
        raise InvalidCredentials(104, _NO_ASSERTION)
    return Rest(options.service).signed_in(assertion)


def _list(options: argparse.Namespace, output: Output) -> None:
    for page in _rest(options).pages("/myapps"):
        for application in page["applications"]:
            output.result(application, *_in_words(application))


def _register(options: argparse.Namespace, output: Output) -> None:
    body = {"name": options.name, "domain": options.domain, "description": options.description}
    made = _rest(options).call("POST", "/myapps", body)
    proof = f"Next: serve {made['domain_key']} at /__presence on {made['domain']}, then: dpresence-client apps validate {made['appid']}"
    output.result(made, *_in_words(made), proof)


def _act(options: argparse.Namespace, output: Output) -> None:
    method, path, _ = _ACTIONS[options.action]
    answer: Dict[str, Any] = _rest(options).call(method, f"/myapps/{quote(options.appid, safe='')}{path}") or {"appid": options.appid}
    following = [f"Next: dpresence-client apps activate {options.appid}"] if options.action == "validate" else []
    output.result(answer, *_in_words(answer), *following)


def _in_words(answer: Dict[str, Any]) -> List[str]:
    """Return an answer as lines of ``name: value``, without empty values; what is no text, as JSON."""
    lines = {name: value if isinstance(value, str) else json.dumps(value) for name, value in answer.items() if value not in ("", None, [])}
    return [f"{name}: {line}" for name, line in lines.items()]
