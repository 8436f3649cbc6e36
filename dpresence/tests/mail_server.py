"""A real mail server for tests: aiosmtpd in a process of its own, which writes each mail to a file.

    python -m dpresence.tests.mail_server PORT FILE CERTIFICATE SECURITY

It refuses mail to ``refused@``, takes none to ``full@`` at present, and answers nothing about ``slow@``. Unless ``SECURITY`` is
``none``, it takes mail only over TLS, from senders that are signed in as ``dpresence`` with the password ``secret``.
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import subprocess
import sys
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult

from dpresence.demo import free_port
from dpresence.tests.waiting import eventually

USER, PASSWORD = "dpresence", "secret"


class MailServer:
    """The process, from ``start`` to ``stop``.

    :param security: a value of the setting ``mail.security``.
    :ivar settings: the settings with which a service uses it.
    """

    def __init__(self, folder: Path, security: str = "starttls") -> None:
        self.port = free_port()
        self._file = folder / "mails"
        self._file.touch()
        certificate = folder / "mail.pem"
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
        names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", certificate, "-out", folder / "mail.crt"]
        subprocess.run([*command, *names], check=True, capture_output=True)
        self.ca_file = str(folder / "mail.crt")
        certificate.write_text(certificate.read_text() + Path(self.ca_file).read_text())
        self._certificate = certificate
        self._process: subprocess.Popen[bytes] | None = None
        self._security = security
        self.settings: dict[str, Any] = {"host": "localhost", "port": self.port, "security": security, "sender": "presence@example.org"}
        if security != "none":
            self.settings |= {"user": USER, "password": PASSWORD, "ca_file": self.ca_file}

    def start(self) -> None:
        arguments = (str(self.port), str(self._file), str(self._certificate), self._security)
        self._process = subprocess.Popen([sys.executable, "-m", "dpresence.tests.mail_server", *arguments])
        eventually(lambda: socket.create_connection(("localhost", self.port), 1).close() is None)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    @property
    def mails(self) -> list[dict[str, Any]]:
        """The mails that it has taken."""
        return [json.loads(line) for line in self._file.read_text().splitlines()]


class _Handler:
    def __init__(self, file: Path) -> None:
        self._file = file

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if address.startswith("refused@"):
            return "550 no such mailbox"
        if address.startswith("slow@"):
            await asyncio.sleep(60)
        if address.startswith("full@"):
            return "452 too little storage"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        message: Any = message_from_bytes(envelope.content, policy=policy.default)
        found = {name.lower(): str(value) for name, value in message.items()}
        encrypted = server.transport.get_extra_info("ssl_object") is not None
        found |= {"encrypted": encrypted, "recipients": envelope.rcpt_tos, "text": message.get_content()}
        with self._file.open("a") as file:
            file.write(json.dumps(found) + "\n")
        return "250 OK"


def _authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
    return AuthResult(success=(data.login, data.password) == (USER.encode(), PASSWORD.encode()))


async def _serve(port: int, file: Path, certificate: str, security: str) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    sign_in: dict[str, Any] = {"auth_required": True, "authenticator": _authenticate}
    options: dict[str, Any] = {
        "starttls": sign_in | {"tls_context": context, "require_starttls": True},
        "tls": sign_in | {"auth_require_tls": False},  # it knows STARTTLS only
        "none": {},
    }[security]
    implicit = context if security == "tls" else None
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(_Handler(file), **options), "localhost", port, ssl=implicit)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:]))
