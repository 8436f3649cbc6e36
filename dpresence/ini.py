"""Converts the strings of the ini into validated ``Settings``, or raises a one-line error (docs/protocol.md, section 9)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from configparser import RawConfigParser
from contextlib import contextmanager
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, get_type_hints
from urllib.parse import urlsplit

from .errors import SettingError
from .model import canonical_email
from .settings import (
    LOOPBACK_HOSTS,
    RESERVED,
    IdentitySettings,
    IssuerSettings,
    ProviderSettings,
    PushSettings,
    RedisSettings,
    ServerSettings,
    Settings,
    StorageSettings,
    refuse,
)
from .settings.catalog import CONCERNS, documented, former_keys, keys, secrets
from .settings.environment import PREFIX, from_environment, override, read_secrets, unknown_variable, variable
from .settings.passwords import with_password
from .settings.renamed import rename


def _convert(key: str, text: str, kind: Any) -> Any:
    """Convert an ini string to a bool, an int, a float, a tuple of words or a str."""
    text = text.strip()
    if kind is bool:
        refuse(text not in ("true", "false"), key, text, "true or false")
        return text == "true"
    if kind is int or kind is float:
        pattern = r"\d+" if kind is int else r"\d+(\.\d+)?"
        refuse(re.fullmatch(pattern, text, re.ASCII) is None, key, text, "a whole number" if kind is int else "a number")
        return kind(text)
    return tuple(text.split()) if kind == tuple[str, ...] else text


def _check(key: str, value: Any, rules: Mapping[str, Any]) -> None:
    low, high, one_of, check = rules["low"], rules["high"], rules["one_of"], rules["check"]
    refuse(low is not None and not low <= value <= high, key, value, f"from {low} to {high}")
    words = value if isinstance(value, tuple) else (value,)
    refuse(bool(one_of) and not set(words) <= set(one_of), key, " ".join(words) if one_of else "", f"one of {', '.join(one_of)}")
    allowed = check(value) if check else None
    refuse(allowed is not None, key, " ".join(map(str, words)), str(allowed))


_kinds = cache(get_type_hints)
"""Return the type of each field of a settings class."""


def _read(cls: type, prefix: str, ini: dict[str, str]) -> dict[str, Any]:
    """Remove a class's keys from ``ini`` and return their checked values."""
    kinds = _kinds(cls)
    values = {}
    for key, field in keys(cls, prefix).items():
        if key in ini:
            value = _convert(key, ini.pop(key), kinds[field.name])
            _check(key, value, field.metadata)
            values[field.name] = value
    return values


def _issuers(names: tuple[str, ...], ini: dict[str, str]) -> tuple[IssuerSettings, ...]:
    found = []
    for name in names:
        refuse(re.fullmatch(r"[a-z0-9.-]+", name) is None, "browserid.issuers", name, "host names in lower case")
        for key in keys(IssuerSettings, f"browserid.{name}"):
            ini.setdefault(key, "")
        values = _read(IssuerSettings, f"browserid.{name}", ini)
        values["domains"] = tuple(domain.lower() for domain in values["domains"])
        found.append(IssuerSettings(name, **values))
    return tuple(found)


def _providers(names: tuple[str, ...], ini: dict[str, str]) -> tuple[ProviderSettings, ...]:
    found = []
    for name in names:
        refuse(re.fullmatch(r"[a-z0-9-]+", name) is None, "oidc.providers", name, "words of a-z 0-9 -")
        values = _read(ProviderSettings, f"oidc.{name}", ini)
        for key in ("issuer", "client_id", "domains"):
            refuse(key not in values, f"oidc.{name}.{key}", "", "set")
        values["domains"] = tuple(domain.lower() for domain in values["domains"])
        found.append(ProviderSettings(name, **{**values, "title": values.get("title") or name}))
    return tuple(found)


_EXPECTED = ("password", "secret", "token", "user", "host", "port", "url")
"""Words of keys that are not settings but that operators may try."""
_OURS = re.compile(rf"({'|'.join(sorted({key.partition('.')[0] for key in documented()}))})(\..*)?", re.IGNORECASE)
_OURS_ANYWHERE = re.compile(rf"tracker|mailbox|{_OURS.pattern.removesuffix('?')}", re.IGNORECASE)
"""Keys that no other package uses, whatever the section."""
_SECTIONS = re.compile(r"DEFAULT|(app|server):main|pserve|loggers|handlers|formatters|(logger|handler|formatter)_\w+")
"""Names of sections that are shown in errors."""


def shown_key(key: str, names: Iterable[str] = ()) -> str:
    """Return a key for an error text. A word of it is abbreviated unless it resembles a word of a setting: it may be a secret.

    :param names: names of the configured providers and issuers.
    """
    known = [*documented(), *former_keys(), *keys(ServerSettings, ""), *keys(ProviderSettings, ""), *names, "browserid.domains", *_EXPECTED]
    words = re.split("[._]", ".".join(known))
    if not re.fullmatch(r"[a-z0-9_.-]{1,60}", key):
        return "a key that is not written a-z 0-9 _ . -"
    return re.sub("[^._]+", lambda word: word[0] if get_close_matches(word[0], words, 1) else f"{word[0][0]}…", key)


def shown_section(name: str) -> str:
    """Return the name of a section for an error text; "a section of another name" if it is not a usual one."""
    return f"[{name}]" if _SECTIONS.fullmatch(name) else "a section of another name"


def _unknown(key: str, names: Iterable[str] = (), section: str = "") -> SettingError:
    """Return the error that names a key which does not exist; its value may be a secret under a misspelled name."""
    return SettingError(f"{shown_key(key, names)}: no such setting{section}; docs/settings.md lists them")


def check_sections(parser: RawConfigParser) -> None:
    """Check that no setting is in a section in which it has no effect. Sections of other packages (``use =``) are not checked.

    :raises SettingError: names the key and the section that it belongs to.
    """
    defaults = RawConfigParser.defaults(parser)  # PasteDeploy's override interpolates
    for key in defaults:
        _check_section(key, parser.default_section)
    for section in parser.sections():
        package = parser.get(section, "use", raw=True, fallback="").partition("#")[0]
        for key in parser.options(section) if package in ("", "egg:dpresence") else ():
            if key not in defaults:
                _check_section(key, section)


def _check_section(key: str, section: str) -> None:
    kind, (form, _, name) = section.partition(":")[0], key.partition(" ")
    if kind in ("app", "server") and form in ("set", "get") and name:
        raise SettingError(f"{form} {shown_key(name.strip())}: must be written without {form}")
    if kind != "app" and _OURS_ANYWHERE.fullmatch(key):
        raise SettingError(f"{shown_key(key)}: must be in [app:main], not in {shown_section(section)}")
    if (kind == "app" or section == "DEFAULT") and key in keys(ServerSettings, ""):
        raise SettingError(f"{key}: must be in [server:main], not in {shown_section(section)}")


def load(ini: Mapping[str, str], here: str, environment: Mapping[str, str] | None = None) -> Settings:
    """Read and validate ``[app:main]``, overridden by the environment.

    :param ini: its keys; those of Pyramid and of other packages are ignored.
    :param here: folder of the ini, which replaces ``%(here)s``.
    :param environment: variables; None for those of this process.
    :raises SettingError: an unknown key or variable of this service, an invalid value or an invalid combination.
    """
    environment, folder = os.environ if environment is None else environment, str(Path(here).resolve())
    ours = {key: value for key, value in ini.items() if _OURS.fullmatch(key)}
    formers = former_keys()
    known = [*_app_keys(ours, environment), *formers]
    _check_variables(environment, [*known, *keys(ServerSettings, "")])
    ours, deprecated = rename(ours, formers)
    given, variables = rename(from_environment(environment, known, folder), formers, variable)
    written = {**deprecated, **{key: variable(key) for key in given}, **variables}
    presents = {former: key for key, former in deprecated.items()} | {former: variable(key) for key, former in variables.items()}
    with _naming_source(written):
        return _load(override(ours, given), folder, presents)


def _load(rest: dict[str, str], here: str, deprecated: Mapping[str, str]) -> Settings:
    files = read_secrets(rest, secrets())
    values = {name: _read(cls, prefix, rest) for name, (prefix, cls) in CONCERNS.items()}
    values["browserid"]["configured"] = _issuers(values["browserid"].get("issuers", ()), rest)
    values["admin"]["emails"] = tuple(canonical_email(email) for email in values["admin"].get("emails", ()))
    values["oidc"]["configured"] = _providers(values["oidc"].get("providers", ()), rest)
    if rest:
        raise _unknown(min(rest), [*values["oidc"].get("providers", ()), *values["browserid"].get("issuers", ())])
    for concern, key, default in (
        ("storage", "directory_url", StorageSettings()),
        ("identity", "secret_file", IdentitySettings()),
        ("push", "key_file", PushSettings()),
    ):
        text = values[concern].get(key, getattr(default, key))
        values[concern][key] = text.replace("%(here)s", here)
    _insert_passwords(values)
    concerns = {name: cls(**values[name]) for name, (_, cls) in CONCERNS.items()}
    settings = Settings(**concerns, secret_files=files, deprecated=deprecated)
    settings.presence.check()
    settings.redis.check()
    settings.mail.check()
    _check_identity(settings)
    _check_oidc(settings)
    return settings


def _app_keys(ini: Mapping[str, str], environment: Mapping[str, str]) -> list[str]:
    """Return every key that ``[app:main]`` may have, with those of the issuers and providers that are configured."""
    listed = [environment.get(variable(key), ini.get(key, "")).split() for key in ("browserid.issuers", "oidc.providers")]
    return [
        *documented(),
        *(key for name in listed[0] for key in keys(IssuerSettings, f"browserid.{name}")),
        *(key for name in listed[1] for key in keys(ProviderSettings, f"oidc.{name}")),
    ]


def _check_variables(environment: Mapping[str, str], known: Sequence[str]) -> None:
    name = unknown_variable(environment, known)
    ini_only = next((key for key, field in documented().items() if field.metadata["ini_only"] and variable(key) in environment), None)
    if ini_only:
        raise SettingError(f"{variable(ini_only)}: {ini_only} can be set in the ini only")
    if name:
        key = name.removeprefix(PREFIX)
        shown = shown_key(key.lower(), [name for key in known for name in key.split(".")]).upper() if key.isupper() else "*"
        raise SettingError(f"{PREFIX}{shown}: no setting has this environment variable; docs/settings.md lists them")


@contextmanager
def _naming_source(written: Mapping[str, str]) -> Iterator[None]:
    """Name the variable or the former key in the error of a setting that has its value from it.

    :param written: the variable or the former key, by the present key.
    """
    try:
        yield
    except SettingError as error:
        key = re.split("[ :]", str(error), maxsplit=1)[0]
        if key not in written:
            raise
        raise SettingError(f"{error} ({written[key]} sets it)") from None


def _insert_passwords(values: Mapping[str, dict[str, Any]]) -> None:
    """Put the passwords that are settings of their own into the URLs."""
    storage, redis = values["storage"], values["redis"]
    storage["directory_url"] = with_password(storage["directory_url"], storage.pop("directory_password", ""), "directory")
    password = redis.pop("password", "")
    redis["url"] = with_password(redis.get("url", RedisSettings().url), password, "redis")
    redis["urls"] = tuple(with_password(url, password, "redis") for url in redis.get("urls", ()))


def _check_identity(settings: Settings) -> None:
    identity, host = settings.identity, urlsplit(settings.identity.audience).hostname
    uses_browserid = "browserid" in identity.verifiers
    refuse(uses_browserid and not settings.browserid.issuers, "browserid.issuers", "", "set when identity.verifiers names browserid")
    refuse(bool(settings.browserid.issuers) and not uses_browserid, "identity.verifiers", " ".join(identity.verifiers),
            "browserid among others when browserid.issuers is set")  # fmt: skip
    reserved = next((name for name in settings.browserid.issuers if name.endswith(RESERVED)), None)
    refuse(reserved is not None, "browserid.issuers", reserved, "a name that can be owned: not under .invalid, .test or .localhost")
    secure = identity.audience.startswith("https://") or host in LOOPBACK_HOSTS
    refuse(not secure, "identity.audience", identity.audience, "https, or http on localhost, 127.0.0.1 or [::1]")
    if identity.development:
        loopback = identity.audience.startswith("http://") and host in LOOPBACK_HOSTS
        refuse(not loopback, "identity.audience", identity.audience, "http on loopback while identity.development is on")
        refuse(bool(identity.verifiers), "identity.verifiers", " ".join(identity.verifiers), "empty while identity.development is on")
        refuse(bool(settings.channels.trusted_proxies), "channels.trusted_proxies", " ".join(settings.channels.trusted_proxies),
                "empty while identity.development is on")  # fmt: skip
        production = settings.storage.directory_url.endswith("/presence.db")
        refuse(production, "directory.url", settings.storage.directory_url,
                "a database of its own while identity.development is on, not presence.db")  # fmt: skip
    else:
        refuse(settings.outbound.allow_loopback, "outbound.allow_loopback", "true", "false unless identity.development is on")


def _check_oidc(settings: Settings) -> None:
    providers, verifiers = settings.oidc.configured, settings.identity.verifiers
    used = "oidc" in verifiers
    refuse(used and not providers, "oidc.providers", "", "set when identity.verifiers names oidc")
    refuse(bool(providers) and not used, "identity.verifiers", " ".join(verifiers), "oidc among others when oidc.providers is set")
    issuers = [provider.issuer for provider in providers]
    for provider in providers:
        key, parts = f"oidc.{provider.name}.issuer", urlsplit(provider.issuer)
        refuse(issuers.count(provider.issuer) > 1, key, provider.issuer, "another one than that of every other provider")
        refuse((parts.hostname or "").endswith(RESERVED), key, provider.issuer,
                "at a name that can be owned: not under .invalid, .test or .localhost")  # fmt: skip
        loopback = provider.allow_private and parts.hostname in LOOPBACK_HOSTS
        refuse(parts.scheme != "https" and not loopback, key, provider.issuer,
                f"https, or http on loopback with oidc.{provider.name}.allow_private")  # fmt: skip


def load_server(section: Mapping[str, str], here: str = ".", environment: Mapping[str, str] | None = None) -> ServerSettings:
    """Read and validate ``[server:main]``, whose keys all belong to this service, overridden by the environment.

    :param here: see ``load``; ``environment`` as well.
    :raises SettingError: an unknown key, an invalid value or an invalid combination.
    """
    environment = os.environ if environment is None else environment
    given = from_environment(environment, keys(ServerSettings, ""), str(Path(here).resolve()))
    rest = override(section, given)
    with _naming_source({key: variable(key) for key in given}):
        settings = ServerSettings(**_read(ServerSettings, "", rest))
        if rest:
            raise _unknown(min(rest), section=" of [server:main]")
        settings.check()
    return settings
