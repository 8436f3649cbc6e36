"""The real OpenID provider of ``test_oidc_provider``: npm's ``oidc-provider``, installed into ``build/`` and started on loopback."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
from base64 import urlsafe_b64encode
from contextlib import nullcontext
from hashlib import sha256
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

import pytest
import requests

from dpresence.tests.installing import one_at_a_time
from dpresence.tests.waiting import PATIENCE_SECONDS
from dpresence.tests.web.support import AUDIENCE

SOURCE = Path(__file__).parent / "oidc_provider"
BUILD = Path(__file__).parents[3] / "build" / "oidc-provider"
HOW = "needs Node 20 and npm with a registry: pytest dpresence/tests/live/test_oidc_provider.py"
SECRET = "a secret: of 100%"
CALLBACK = f"{AUDIENCE}/login/corp/callback"
SECONDS = PATIENCE_SECONDS


def give_up(why: str) -> None:
    """Skip the module with one line; on CI, where all of this is there, fail."""
    if os.environ.get("CI"):
        pytest.fail(f"{why}; {HOW}")
    pytest.skip(f"{why}; {HOW}", allow_module_level=True)


def install() -> None:
    """Bring the provider into ``build/``, one process at a time; does nothing more when it is there."""
    with one_at_a_time(BUILD):
        _install()


def _install() -> None:
    for name in ("op.mjs", "package.json", "package-lock.json"):
        wanted, here = (SOURCE / name).read_bytes(), BUILD / name
        if not here.exists() or here.read_bytes() != wanted:
            here.write_bytes(wanted)
    lock, known = (SOURCE / "package-lock.json").read_bytes(), BUILD / "node_modules" / "installed.json"
    if known.exists() and known.read_bytes() == lock:
        return
    command = ["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"]
    done = subprocess.run(command, cwd=BUILD, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        give_up(f"npm ci failed: {done.stderr.strip().splitlines()[0] if done.stderr.strip() else done.returncode}")
    known.write_bytes(lock)


class RealProvider:
    """The provider as a process, and people who walk through its pages."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            ["node", "op.mjs"], cwd=BUILD, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self._process.stdout is not None
        line = next((line for line in self._process.stdout if line.strip().isdigit()), None)
        if not line:
            self.close()
        assert line, "the provider did not start"
        self.issuer = f"http://127.0.0.1:{int(line)}"

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()

    def again(self, query: str = "") -> None:
        requests.post(f"{self.issuer}/__again?{query}", timeout=SECONDS).raise_for_status()

    def asked(self, path: str) -> int:
        """Return how often a path was asked for."""
        return int(requests.get(f"{self.issuer}/__counts", timeout=SECONDS).json().get(path, 0))

    def log_out(self, session: requests.Session) -> None:
        """Sign out on its pages, which tells the services that the person has used."""
        page = session.get(f"{self.issuer}/session/end", timeout=SECONDS)
        action, xsrf = (re.search(pattern, page.text)[1] for pattern in (r'action="([^"]+)"', r'name="xsrf" value="([^"]+)"'))
        session.post(action, data={"xsrf": xsrf, "logout": "yes"}, timeout=SECONDS).raise_for_status()

    def walk(self, url: str, login: str, abort: bool = False, browser: requests.Session | None = None) -> str:
        """Sign in and consent on its pages, as a browser does; return the URL it sends the browser back to.

        :param abort: turn round at the first page.
        :param browser: that browser; a new one if None.
        """
        with (browser and nullcontext(browser)) or requests.Session() as session:
            answer = session.get(url, allow_redirects=False, timeout=SECONDS)
            for _ in range(12):
                if answer.is_redirect:
                    url = urljoin(answer.url, answer.headers["Location"])
                    if not url.startswith(self.issuer):
                        return url
                    answer = session.get(url, allow_redirects=False, timeout=SECONDS)
                    continue
                assert answer.status_code == 200, answer.text
                if abort:
                    way = re.search(r'href="([^"]*/abort)"', answer.text)[1]
                    answer = session.get(way, allow_redirects=False, timeout=SECONDS)
                    continue
                action = re.search(r'action="([^"]+)"', answer.text)[1]
                prompt = re.search(r'name="prompt" value="(\w+)"', answer.text)[1]
                form = {"prompt": prompt, "login": login, "password": "any"}
                answer = session.post(action, data=form, allow_redirects=False, timeout=SECONDS)
        raise AssertionError(f"lost on the pages at {answer.url}")

    def id_token(self, login: str = "ada", client: str = "dpresence-RS256") -> str:
        """Return an ID token as a native client gets one, without this service."""
        verifier = secrets.token_urlsafe(32)
        challenge = urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "response_type": "code", "client_id": client, "redirect_uri": CALLBACK, "scope": "openid email", "nonce": "n-1",
            "code_challenge": challenge, "code_challenge_method": "S256",
        }  # fmt: skip
        back = dict(parse_qsl(urlsplit(self.walk(f"{self.issuer}/auth?{urlencode(query)}", login)).query))
        form = {"grant_type": "authorization_code", "code": back["code"], "redirect_uri": CALLBACK, "code_verifier": verifier}
        auth = (client, requests.utils.quote(SECRET, safe=""))
        answer = requests.post(f"{self.issuer}/token", data=form, auth=auth, timeout=SECONDS).json()
        return str(answer["id_token"])


def trusting(issuer, folder, **changed):
    """Return the settings of a service that trusts the provider."""
    secret = folder / "corp.secret"
    secret.write_text(SECRET)
    return {
        "identity__development": "false",
        "identity__verifiers": "oidc",
        "outbound__allow_loopback": "false",
        "oidc__providers": "corp",
        "oidc__corp__issuer": issuer,
        "oidc__corp__client_id": "dpresence-RS256",
        "oidc__corp__client_secret_file": str(secret),
        "oidc__corp__domains": "example.org",
        "oidc__corp__allow_private": "true",
        "channels__failures_per_minute": "10000",
        **changed,
    }
