"""Mail that the service sends."""

from __future__ import annotations

from dataclasses import dataclass

from . import allowed
from .declaration import refuse, setting


@dataclass(frozen=True, slots=True)
class MailSettings:
    """The mail server through which developers are told that this service has turned off a webhook (docs/operations.md, Mail)."""

    host: str = setting("", "Host name of the mail server (SMTP); empty: no mail is sent.", check=allowed.mail_host, allowed="a host name")
    port: int = setting(587, "Its port: 587 with STARTTLS, 465 with TLS.", low=1, high=65535)
    security: str = setting(
        "starttls",
        "Encryption of the connection. `none` is for a mail server on this machine that needs no sign-in.",
        one_of=("starttls", "tls", "none"),
    )
    ca_file: str = setting(
        "", "File with certificate authorities, PEM, that are trusted for the mail server besides the system's.", allowed="a file"
    )
    user: str = setting("", "User name at the mail server; empty: the service does not sign in.")
    password: str = setting("", "Password of `mail.user`.", secret=True)
    sender: str = setting("", "Address that mail comes from; required with `mail.host`.", check=allowed.sender, allowed="an e-mail address")

    def check(self) -> None:
        """Check combinations of keys.

        :raises SettingError: names a key that does not fit the others.
        """
        refuse(self.port == 465 and self.security == "starttls", "mail.security", self.security, "tls with mail.port = 465")
        refuse(bool(self.user) and self.security == "none", "mail.user", self.user, "empty with mail.security = none")
        refuse(bool(self.user) != bool(self.password), "mail.password", "", "set if mail.user is set, and only then")
