"""Mail through the operator's mail server (SMTP). Nothing is sent unless ``mail.host`` is set."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate

from .clock import Clock
from .errors import BackendUnavailable, SettingError
from .settings import MailSettings

SECONDS = 15.0
"""Maximum duration of each step with the mail server."""
_ENCODED_WORD = "=?"
"""The beginning of an encoded word (RFC 2047). ``email`` decodes those in the values of headers, line breaks included."""
_TEMPORARY = range(400, 500)
_SHUTTING_DOWN = 421
_FAILURES = (OSError, smtplib.SMTPException)  # of ssl: a subclass of OSError


class MailRefused(Exception):
    """The mail server refuses a mail, or may have taken it before the connection was lost: it is not sent again."""


class MailDelayed(BackendUnavailable):
    """The mail server does not take this mail at present (RFC 5321, section 4.2.1: 4yz); it may take others."""


class MailServer:
    """The operator's mail server.

    :raises SettingError: a setting is missing, or the file of certificate authorities cannot be read.
    """

    def __init__(self, settings: MailSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        if settings.host and not settings.sender:
            raise SettingError("mail.sender: must be an e-mail address, as mail.host is set")
        self._context = _context(settings.ca_file) if settings.host and settings.security != "none" else None

    def __bool__(self) -> bool:
        """Return whether mail can be sent."""
        return bool(self._settings.host)

    def check(self) -> None:
        """Connect and sign in, and send nothing.

        :raises BackendUnavailable: the mail server cannot be reached, or refuses the sign-in.
        """
        with self._connected() as server:
            server.noop()

    def send(self, recipient: str, subject: str, text: str, id_: str) -> None:
        """Send a mail. A failure before the mail server has the text can be tried again.

        :param id_: letters, digits, and ``._-``; the same when the same mail is sent again, so that mail systems can recognise it.
        :raises BackendUnavailable: the mail server cannot be reached, or takes nothing at present.
        :raises MailDelayed: it does not take this mail at present.
        :raises MailRefused: it refuses the mail, the connection was lost while it had the text, or the address cannot be in a header.
        """
        if not recipient.isascii() or _ENCODED_WORD in recipient:
            raise MailRefused("the address cannot be written in a header")
        with self._connected() as server:
            _accept(*server.mail(self._settings.sender), BackendUnavailable)
            try:
                _accept(*server.rcpt(recipient))
            except _FAILURES:  # the mail server may ask that of the recipient first
                raise MailDelayed("the mail server does not answer whether it takes mail for the recipient") from None
            data = self._message(recipient, subject, text, id_)
            try:
                _accept(*server.data(data))
            except smtplib.SMTPDataError as error:
                _accept(error.smtp_code, b"")
            except _FAILURES:
                raise MailRefused("the connection was lost while it was sent") from None

    def _message(self, recipient: str, subject: str, text: str, id_: str) -> bytes:
        message = EmailMessage(policy=SMTP)
        message["From"], message["To"] = self._settings.sender, recipient
        message["Subject"] = subject.replace(_ENCODED_WORD, "= ?")
        message["Date"] = formatdate(self._clock.now() / 1000)
        message["Message-ID"] = f"<{id_}@{self._settings.sender.rpartition('@')[2]}>"
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no answer by a program
        message.set_content(text, cte="quoted-printable")
        return message.as_bytes()

    @contextmanager
    def _connected(self) -> Iterator[smtplib.SMTP]:
        """Yield a connection on which the service is signed in.

        :raises BackendUnavailable: see ``check``; also if the connection is lost meanwhile.
        """
        server = None
        try:
            server = self._connect()
            yield server
        except ssl.SSLError as error:
            raise BackendUnavailable(f"the mail server: TLS: {error.reason or 'failed'}") from None
        except _FAILURES as error:
            raise BackendUnavailable(f"the mail server: {getattr(error, 'strerror', None) or type(error).__name__}") from None
        finally:
            if server is not None:
                with suppress(*_FAILURES):
                    server.quit()
                server.close()

    def _connect(self) -> smtplib.SMTP:
        settings, context = self._settings, self._context
        if settings.security == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(settings.host, settings.port, timeout=SECONDS, context=context)
        else:
            server = smtplib.SMTP(settings.host, settings.port, timeout=SECONDS)
        try:
            if settings.security == "starttls":
                server.starttls(context=context)
            server.ehlo_or_helo_if_needed()
            if settings.user and settings.security != "none":
                _sign_in(server, settings.user, settings.password)
        except BaseException:
            server.close()
            raise
        return server


def _sign_in(server: smtplib.SMTP, user: str, password: str) -> None:
    try:
        server.login(user, password)
    except (smtplib.SMTPAuthenticationError, smtplib.SMTPServerDisconnected):  # some close the connection at once
        raise BackendUnavailable("the mail server refuses mail.user and mail.password") from None


def _accept(code: int, _: bytes, temporary: type[BackendUnavailable] = MailDelayed) -> None:
    """Check an answer of the mail server, whose text may have anything in it."""
    if code in _TEMPORARY:
        raise (BackendUnavailable if code == _SHUTTING_DOWN else temporary)(f"the mail server takes no mail at present (status {code})")
    if not 200 <= code < 300:
        raise MailRefused(f"status {code}")


def _context(ca_file: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca_file:
        try:
            context.load_verify_locations(ca_file)
        except OSError as error:
            raise SettingError(f"mail.ca_file: must be a file with certificates as PEM ({error.strerror or 'it is none'})") from None
    return context
