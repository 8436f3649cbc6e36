"""Debian's ``glewlwyd``, a real identity provider, as a process on loopback with a database of its own, and people who sign in at it."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests
from joserfc.jwk import generate_key

from dpresence.demo import free_port
from dpresence.tests.waiting import PATIENCE_SECONDS, eventually

TABLES = Path("/usr/share/dbconfig-common/data/glewlwyd/install/sqlite3")
MODULES = "/usr/lib/glewlwyd"
SECONDS = PATIENCE_SECONDS
PASSWORD = "correct horse"
_CONFIGURATION = """
port={port}
bind_address="127.0.0.1"
external_url="{url}"
login_url="login.html"
api_prefix="api"
log_mode="console"
log_level="INFO"
cookie_secure=0
session_expiration=3600
session_key="{session_key}"
admin_scope="g_admin"
profile_scope="g_profile"
user_module_path="{modules}/user"
client_module_path="{modules}/client"
user_auth_scheme_module_path="{modules}/scheme"
plugin_module_path="{modules}/plugin"
hash_algorithm="SHA512"
database = {{ type = "sqlite3"; path = "{database}"; }};
"""
_FLOWS = {
    **{f"auth-type-{name}-enabled": False for name in ("token", "none", "password", "client", "device", "implicit")},
    **{f"auth-type-{name}-enabled": True for name in ("code", "id-token", "refresh")},
    **{f"{name}-duration": 3600 for name in ("access-token", "refresh-token", "code")},
    **{"refresh-token-rolling": True, "pkce-allowed": True, "pkce-method-plain-allowed": False},
}
_CLAIM = {
    **{"name": "email_verified", "user-property": "verified", "type": "boolean", "mandatory": True},
    **{"boolean-value-true": "yes", "boolean-value-false": "no"},
}
OIDC: dict[str, Any] = {
    **{"allow-non-oidc": False, "jwks-show": True, "subject-type": "public", "email-claim": "mandatory", "claims": [_CLAIM]},
    **{"session-management-allowed": True, "back-channel-logout-allowed": True, "front-channel-logout-allowed": False},
    **{"session-cookie-name": "OIDC_SID", "session-cookie-expiration": 3600, "request-parameter-allow": True, "request-maximum-exp": 3600},
    **{"client-pubkey-parameter": "pubkey", "client-jwks-parameter": "jwks", "client-jwks_uri-parameter": "jwks_uri"},
}
"""Parameters of its OpenID Connect plugin."""


def is_installed() -> bool:
    return shutil.which("glewlwyd") is not None and TABLES.exists()


class Glewlwyd:
    """The provider as a process.

    :ivar issuer: issuer of its OpenID Connect plugin, once ``add_plugin`` has added it as ``oidc``.
    """

    def __init__(self, folder: Path, session_key: str = "GLEWLWYD") -> None:
        folder.mkdir()
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.issuer = f"{self.url}/api/oidc"
        database = self._database = folder / "database"
        made = sqlite3.connect(database)
        made.executescript(TABLES.read_text())
        made.close()
        values = {"port": port, "url": self.url, "modules": MODULES, "database": database, "session_key": session_key}
        (folder / "configuration").write_text(_CONFIGURATION.format(**values))
        with (folder / "log").open("w") as log:
            command = ["glewlwyd", "-c", str(folder / "configuration")]
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        eventually(self._answers)
        self.admin = requests.Session()
        self.call(self.admin, "POST", "/auth/", {"username": "admin", "password": "password"})

    def _answers(self) -> bool:
        try:
            return requests.get(f"{self.url}/api/auth/", timeout=SECONDS).status_code < 500
        except requests.ConnectionError:
            return False

    def close(self) -> None:
        self.admin.close()
        self._process.terminate()
        self._process.wait(SECONDS)

    def call(self, session: requests.Session, method: str, path: str, body: Any = None) -> requests.Response:
        answer = session.request(method, f"{self.url}/api{path}", json=body, timeout=SECONDS)
        assert answer.ok, (method, path, answer.status_code, answer.text)
        return answer

    # -- what its administrator does

    def add(self, kind: str, **values: Any) -> None:
        """Add a user, a client, a scope, or a module: ``mod/plugin``, ``mod/scheme``."""
        self.call(self.admin, "POST", f"/{kind}/", {"enabled": True, "display_name": values.get("name", ""), **values})

    def change(self, path: str, values: dict[str, Any]) -> None:
        """Change what has been added."""
        self.call(self.admin, "PUT", f"/{path}", values)

    def add_plugin(self, module: str, name: str, **parameters: Any) -> None:
        """Add the plugin of a protocol, with a key of its own."""
        key = generate_key("RSA", 2048)
        keys = {"key": key.as_pem(private=True).decode(), "cert": key.as_pem(private=False).decode()}
        made = {"iss": f"{self.url}/api/{name}", "jwt-type": "rsa", "jwt-key-size": "256", **keys, **_FLOWS, **parameters}
        self.add("mod/plugin", module=module, name=name, parameters=made)

    def add_property(self, name: str) -> None:
        """Add a property that users may have."""
        [module] = self.call(self.admin, "GET", "/mod/user/").json()
        module["parameters"]["data-format"][name] = {"multiple": False, "read": True, "write": True}
        self.call(self.admin, "PUT", f"/mod/user/{module['name']}", module)
        self.call(self.admin, "PUT", f"/mod/user/{module['name']}/reset")

    def add_person(self, name: str, **properties: Any) -> None:
        """Add a person with a verified address, who may use the scopes of OpenID Connect."""
        known = {"name": name, "email": f"{name}@example.org", "verified": "yes", "scope": ["openid", "email"]}
        self.add("user", username=name, password=PASSWORD, **{**known, **properties})

    # -- what people do

    def sign_in(self, browser: requests.Session, name: str) -> None:
        self.call(browser, "POST", "/auth/", {"username": name, "password": PASSWORD})

    def walk(self, browser: requests.Session, url: str, name: str) -> str:
        """Sign in and consent, as its login page does for a browser; return the URL that the browser is sent back to."""
        asked = parse_qs(urlsplit(self.redirect(browser, url)).query)
        client, scope = asked["client_id"][0], asked["scope"][0]
        self.sign_in(browser, name)
        return self.consent(browser, client, scope, asked["callback_url"][0])

    def consent(self, browser: requests.Session, client: str, scope: str, callback: str) -> str:
        self.call(browser, "PUT", f"/auth/grant/{client}", {"scope": scope})
        return self.redirect(browser, f"{callback}&g_continue")

    @staticmethod
    def redirect(browser: requests.Session, url: str) -> str:
        answer = browser.get(url, allow_redirects=False, timeout=SECONDS)
        assert answer.is_redirect, (url, answer.status_code, answer.text)
        return answer.headers["Location"]

    def log_out(self, browser: requests.Session) -> None:
        """End the session of the latest ID token, which must be that of the browser, and tell the clients that have a back-channel."""
        read = sqlite3.connect(self._database)
        [[sid]] = read.execute("SELECT gpoi_sid FROM gpo_id_token ORDER BY gpoi_id DESC LIMIT 1").fetchall()
        read.close()
        self.call(browser, "DELETE", f"/oidc/session/{sid}/")
        browser.delete(f"{self.url}/api/auth/", timeout=SECONDS)
