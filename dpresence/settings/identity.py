"""Authentication of users, and the operators."""

from __future__ import annotations

from dataclasses import dataclass

from . import allowed
from .declaration import setting

LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "::1")
RESERVED = (".invalid", ".test", ".localhost")


@dataclass(frozen=True, slots=True)
class IdentitySettings:
    """Authentication of users (docs/protocol.md, section 2)."""

    audience: str = setting(
        "http://127.0.0.1:8282",
        "The only origin of this service; assertions must be made for it.",
        check=allowed.origin,
        allowed="an origin",
    )
    path: str = setting(
        "", "Path of the service at that origin, such as `/_presence`; empty: the whole origin.", check=allowed.path, allowed="a path"
    )
    verifiers: tuple[str, ...] = setting(
        (), "Verifiers to try, by name: `browserid`, `oidc`. Empty: sign-in is closed.", one_of=("browserid", "oidc")
    )
    development: bool = setting(False, "Issue assertions for any e-mail, on loopback only, to try the service.", ini_only=True)
    development_token: str = setting(
        "",
        "Token that a call to the development issuer must have; empty: a new one at each start.",
        check=allowed.token,
        allowed="16 to 128 of A-Z a-z 0-9 _ -",
        secret=True,
    )
    session_seconds: int = setting(43200, "How long a sign-in lasts, on a channel and in a browser.", low=60, high=2592000)
    renewal_seconds: int = setting(60, "How long a channel whose sign-in has expired may take to send a new assertion.", low=5, high=600)
    ticket_seconds: int = setting(60, "How long a ticket made for a page is valid.", low=5, high=600)
    pairing_seconds: int = setting(600, "How long the code of a pairing is valid.", low=60, high=1800)
    credential_seconds: int = setting(
        7776000, "How long the credential of a paired device is valid after its last use.", low=86400, high=31536000
    )
    pairings_per_hour: int = setting(60, "Maximum number of pairings that devices at one address begin.", low=1, high=100000)
    logins_per_hour: int = setting(60, "Maximum number of browser sessions opened for one account.", low=1, high=100000)
    tickets_per_hour: int = setting(600, "Maximum number of tickets issued to one account.", low=1, high=100000)
    secret_file: str = setting(
        "%(here)s/presence.secret",
        "Secret that signs the cookie of a sign-in at a provider; created if missing, with SQLite only.",
        allowed="a file",
    )

    @property
    def home(self) -> str:
        """Public base URL of this service: the audience and the path."""
        return self.audience + self.path


@dataclass(frozen=True, slots=True)
class IssuerSettings:
    """One BrowserID issuer: ``browserid.<issuer>.keys`` and ``browserid.<issuer>.domains``.

    :ivar name: host name of the issuer.
    """

    name: str
    keys: tuple[str, ...] = setting(
        (),
        "Files with the issuer's public keys as JSON, RSA of 2048 bits; two files while the issuer changes its key.",
        check=allowed.key_files,
        allowed="one or two files",
    )
    domains: tuple[str, ...] = setting(
        (),
        "Mail domains whose addresses the issuer may assert; `*` permits every domain and logs a warning.",
        check=allowed.mail_domains,
        allowed="mail domains, or `*`",
    )


@dataclass(frozen=True, slots=True)
class BrowserIDSettings:
    """Issuers of BrowserID assertions. No other issuer is trusted or fetched from."""

    issuers: tuple[str, ...] = setting(
        (), "Issuers, by host name. Each needs `browserid.<issuer>.keys` (files) and `browserid.<issuer>.domains`.", allowed="host names"
    )
    configured: tuple[IssuerSettings, ...] = ()


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    """One OpenID Connect provider: ``oidc.<provider>.issuer`` and the other keys with this prefix.

    :ivar name: name of the provider in the ini and in the path ``/login/<provider>``.
    """

    name: str
    issuer: str = setting("", "Issuer URL, spelled as in the provider's tokens; https.", check=allowed.issuer_url, allowed="a URL")
    client_id: str = setting("", "The client id of this service at the provider.", check=allowed.required)
    audiences: tuple[str, ...] = setting(
        (),
        "Further client ids at the provider, such as those of phone apps, whose ID tokens open the device channel and nothing else.",
        allowed="client ids",
    )
    client_secret_file: str = setting(
        "", "File with the client secret; empty, and no `client_key_file`: a public client, by PKCE alone.", allowed="a file"
    )
    client_key_file: str = setting(
        "",
        "File with the private key that authenticates this service at the provider (`private_key_jwt`), in place of a secret: PEM or JWK, "
        "RSA of 2048 bits or more, P-256 or Ed25519.",
        allowed="a file",
    )
    next_client_key_file: str = setting(
        "", "File with the key that will replace it. It signs nothing; `/login/<provider>/jwks` publishes both.", allowed="a file"
    )
    client_key_audience: str = setting(
        "token_endpoint",
        "What a signed proof is made out for: the provider's `token_endpoint` or its `issuer`.",
        one_of=("token_endpoint", "issuer"),
    )
    algorithms: tuple[str, ...] = setting(
        ("RS256",), "Permitted signature algorithms of ID tokens.", one_of=("RS256", "ES256", "EdDSA", "Ed25519"), check=allowed.required
    )
    domains: tuple[str, ...] = setting(
        (),
        "Mail domains whose addresses the provider may assert; `*` permits every domain and logs a warning.",
        check=allowed.mail_domains,
        allowed="mail domains, or `*`",
    )
    nonce: bool = setting(
        True,
        "The provider repeats `nonce` in its ID tokens. `false`, for Mozilla accounts: a sign-in with the browser needs none, and no other "
        "tokens of the provider are accepted.",
    )
    backchannel_logout_session_required: bool = setting(
        False, "Refuse logouts of the provider that name a person but no session; they end everything that the person is signed in with."
    )
    require_hd: bool = setting(False, "Accept a mail domain only if the token's `hd` also names it: Google Workspace.")
    email_verified_string: bool = setting(False, 'Accept the text `"true"` for the boolean in `email_verified`.')
    email_verified_missing: bool = setting(
        False, "Accept an address without `email_verified`: for providers that sign in only people whose address they have verified."
    )
    allow_private: bool = setting(False, "Permit a private address, and on loopback also http.")
    title: str = setting("", "Text of the sign-in button; empty: the provider's name in `oidc.providers`.")
    icon: str = setting("", "File with the icon of the sign-in button, PNG or SVG, of up to 32 KiB; empty: none.", allowed="a file")
    color: str = setting(
        "",
        "Colour of the sign-in button, such as `#24292f`; its text is black or white, whichever contrasts more. Empty: that of other "
        "buttons.",
        check=allowed.color,
        allowed="a colour as `#rrggbb`",
    )

    @property
    def secret_files(self) -> dict[str, str]:
        """The files that only this service may read, with what they hold."""
        held = {
            self.client_secret_file: "the client secret",
            self.client_key_file: "the client key",
            self.next_client_key_file: "a client key",
        }
        return {file: what for file, what in held.items() if file}


@dataclass(frozen=True, slots=True)
class OidcSettings:
    """OpenID Connect providers. No other provider is trusted or fetched from."""

    providers: tuple[str, ...] = setting(
        (),
        "OpenID Connect providers, one word each. Each needs `oidc.<provider>.issuer`, `.client_id` and `.domains`.",
        allowed="words of a-z 0-9 -",
    )
    configured: tuple[ProviderSettings, ...] = ()


@dataclass(frozen=True, slots=True)
class AdminSettings:
    """Access to the figures of the service (docs/protocol.md, section 6, For operators)."""

    emails: tuple[str, ...] = setting(
        (), "E-mails whose accounts may open `/admin`; empty: nobody.", check=allowed.emails, allowed="e-mails"
    )
