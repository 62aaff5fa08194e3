"""Options that are right each by itself, and wrong together."""

from collections.abc import Iterator
from dataclasses import dataclass

from config.derive import CAPTURED_CONTENT_S
from config.kinds import Endpoint, is_loopback, url_host
from config.locate import KeyPath, key_text
from config.oidc import Oidc
from config.public import is_public, read_address
from config.settings import Settings, Upstream
from config.webhook import Webhook


@dataclass(frozen=True, slots=True)
class Contradiction:
    """One option, and why it can not stand beside another."""

    path: KeyPath
    beside: KeyPath
    """The other option."""
    why: str
    mend: str


def contradictions(settings: Settings) -> tuple[Contradiction, ...]:
    """Return every contradiction, in the order of the file."""
    return (
        *_relay(settings),
        *_upstreams(settings),
        *_retry(settings),
        *_tracking(settings),
        *_listens(settings),
        *_provider(settings.console.oidc),
        *_stores(settings),
        *_retention(settings),
        *_webhooks(settings),
    )


def _relay(settings: Settings) -> Iterator[Contradiction]:
    tls, mode = settings.relay.tls, settings.relay.auth.mode
    certificate: KeyPath = ("relay", "tls", "certificate")
    private_key: KeyPath = ("relay", "tls", "private_key")
    if tls.certificate is not None and tls.private_key is None:
        mend = "write private_key, or remove it"
        yield Contradiction(certificate, private_key, "has no private_key", mend)
    if tls.private_key is not None and tls.certificate is None:
        mend = "write certificate, or remove it"
        yield Contradiction(private_key, certificate, "has no certificate", mend)
    mend = "write certificate and private_key in [relay.tls]"
    if tls.mode == "implicit" and tls.certificate is None:
        path: KeyPath = ("relay", "tls", "mode")
        yield Contradiction(path, certificate, "needs a certificate", mend)
    auth: KeyPath = ("relay", "auth", "mode")
    if mode != "none" and tls.certificate is None:
        why = "would take passwords without TLS"
        yield Contradiction(auth, certificate, why, mend)
    if mode == "upstream" and not settings.upstream:
        why = "has no upstream to ask"
        yield Contradiction(auth, ("upstream",), why, 'write an [[upstream]], or "users"')


def _upstreams(settings: Settings) -> Iterator[Contradiction]:
    names: dict[str, int] = {}
    for number, upstream in enumerate(settings.upstream):
        path: KeyPath = ("upstream", number)
        if upstream.name in names:
            why = f"is the name of upstream[{names[upstream.name]}] too"
            other: KeyPath = ("upstream", names[upstream.name], "name")
            yield Contradiction((*path, "name"), other, why, "give each its own name")
        names.setdefault(upstream.name, number)
        yield from _credentials(path, upstream)
        yield from _tokens(path, upstream)
        yield from _certificate(path, upstream)
        if settings.relay.auth.mode == "upstream":
            yield from _people(path, upstream)


def _credentials(path: KeyPath, upstream: Upstream) -> Iterator[Contradiction]:
    username, password_file = (*path, "username"), (*path, "password_file")
    if upstream.username and upstream.auth == "password" and upstream.password_file is None:
        mend = "write password_file, or empty the username"
        yield Contradiction(username, password_file, "has no password_file", mend)
    if upstream.password_file is not None and not upstream.username:
        mend = "write username, or remove it"
        yield Contradiction(password_file, username, "has no username", mend)
    clear = upstream.tls == "none" and not is_loopback(upstream.host)
    if upstream.username and upstream.auth in {"password", "xoauth2"} and clear:
        secret = "token" if upstream.auth == "xoauth2" else "password"
        why = f"would send the {secret} without TLS"
        yield Contradiction((*path, "tls"), username, why, _SECURE)


_SECURE = 'write "starttls" or "implicit"'
_TOKEN_OPTIONS = (
    "oauth_token_url",
    "oauth_client_id",
    "oauth_client_secret_file",
    "oauth_scope",
    "oauth_refresh_token_file",
)
_CERTIFICATE_OPTIONS = ("client_certificate_file", "client_private_key_file")


def _tokens(path: KeyPath, upstream: Upstream) -> Iterator[Contradiction]:
    if upstream.auth != "xoauth2":
        yield from _unused(path, upstream, _TOKEN_OPTIONS, "xoauth2")
        return
    for name in ("username", "oauth_token_url", "oauth_client_id"):
        yield from _needed(path, upstream, name)
    if upstream.oauth_client_secret_file is None and upstream.oauth_refresh_token_file is None:
        secret: KeyPath = (*path, "oauth_client_secret_file")
        why = "has neither oauth_client_secret_file nor oauth_refresh_token_file"
        yield Contradiction((*path, "auth"), secret, why, "write one of them, or both")
    if upstream.password_file is not None:
        file: KeyPath = (*path, "password_file")
        yield Contradiction(file, (*path, "auth"), 'is not used by auth = "xoauth2"', "remove it")


def _certificate(path: KeyPath, upstream: Upstream) -> Iterator[Contradiction]:
    if upstream.auth != "certificate":
        yield from _unused(path, upstream, _CERTIFICATE_OPTIONS, "certificate")
        return
    for name in _CERTIFICATE_OPTIONS:
        yield from _needed(path, upstream, name)
    if upstream.tls not in {"starttls", "implicit"}:
        why = "would show no certificate, for it does not insist on TLS"
        yield Contradiction((*path, "tls"), (*path, "auth"), why, _SECURE)


def _people(path: KeyPath, upstream: Upstream) -> Iterator[Contradiction]:
    mode: KeyPath = ("relay", "auth", "mode")
    if upstream.auth != "password":
        why = 'is not "password", and relay.auth.mode = "upstream" has people sign in there'
        yield Contradiction((*path, "auth"), mode, why, 'write "password"')
    if upstream.tls == "none" and not upstream.username and not is_loopback(upstream.host):
        why = "would send people's passwords without TLS"
        yield Contradiction((*path, "tls"), mode, why, _SECURE)


def _needed(path: KeyPath, upstream: Upstream, name: str) -> Iterator[Contradiction]:
    if not getattr(upstream, name):
        why = f'is "{upstream.auth}", and there is no {name}'
        yield Contradiction((*path, "auth"), (*path, name), why, f"write {name}")


def _unused(
    path: KeyPath, upstream: Upstream, names: tuple[str, ...], auth: str
) -> Iterator[Contradiction]:
    for name in names:
        # With "none" what was used before may stay.
        if getattr(upstream, name) and upstream.auth != "none":
            why = f'is not used by auth = "{upstream.auth}"'
            mend = f'write auth = "{auth}", or remove it'
            yield Contradiction((*path, name), (*path, "auth"), why, mend)


def _retry(settings: Settings) -> Iterator[Contradiction]:
    retry = settings.retry
    first, longest = ("retry", "first_after_s"), ("retry", "max_after_s")
    end, notice = ("retry", "give_up_after_s"), ("retry", "delay_notice_after_s")
    if retry.max_after_s < retry.first_after_s:
        why = f"is below first_after_s, {retry.first_after_s}"
        mend = f"write {retry.first_after_s} or more"
        yield Contradiction(longest, first, why, mend)
    if retry.give_up_after_s < retry.first_after_s:
        why = f"is below first_after_s, {retry.first_after_s}: nothing is tried twice"
        mend = f"write {retry.first_after_s} or more"
        yield Contradiction(end, first, why, mend)
    if retry.delay_notice_after_s >= retry.give_up_after_s:
        why = f"is not below give_up_after_s, {retry.give_up_after_s}: the bounce comes first"
        yield Contradiction(notice, end, why, "write 0 or a smaller number")


def _tracking(settings: Settings) -> Iterator[Contradiction]:
    if settings.tracking.dkim_signed == "resign" and not settings.dkim:
        mend = "write a [[dkim]] with domain, selector and private_key_file"
        path: KeyPath = ("tracking", "dkim_signed")
        yield Contradiction(path, ("dkim",), 'is "resign", and there is no key', mend)
    signings: dict[tuple[str, str], int] = {}
    for number, table in enumerate(settings.dkim):
        other = signings.setdefault((table.domain, table.selector.lower()), number)
        if other != number:
            why = f"is the selector of dkim[{other}] too"
            path = ("dkim", number, "selector")
            beside: KeyPath = ("dkim", other, "selector")
            yield Contradiction(path, beside, why, "give each key a selector of its own")
    yield from _tracking_hosts(settings)


def _tracking_hosts(settings: Settings) -> Iterator[Contradiction]:
    bases: dict[str, KeyPath] = {settings.tracking.base_url: ("tracking", "base_url")}
    for number, host in enumerate(settings.tracking_host):
        path: KeyPath = ("tracking_host", number, "base_url")
        if host.base_url in bases:
            other = bases[host.base_url]
            why = f"is the same as {key_text(other)}"
            yield Contradiction(path, other, why, "give it a base of its own, or remove the table")
        bases.setdefault(host.base_url, path)


def _listens(settings: Settings) -> Iterator[Contradiction]:
    taken: list[tuple[KeyPath, Endpoint]] = []
    for section, listen in (
        ("relay", settings.relay.listen),
        ("collector", settings.collector.listen),
        ("console", settings.console.listen),
    ):
        for number, endpoint in enumerate(listen):
            path: KeyPath = (section, "listen", number)
            other = next((name for name, held in taken if endpoint.clashes(held)), None)
            if other:
                why = f"{endpoint} is taken by {key_text(other)}"
                yield Contradiction(path, other, why, "choose another port")
            taken.append((path, endpoint))


def _provider(oidc: Oidc) -> Iterator[Contradiction]:
    table: KeyPath = ("console", "oidc")
    issuer, client_id = (*table, "issuer"), (*table, "client_id")
    if oidc.enabled and not oidc.client_id:
        mend = "write client_id, as the provider gave it"
        yield Contradiction(issuer, client_id, "has no client_id", mend)
    if not oidc.enabled:
        for name in sorted(oidc.model_fields_set - {"issuer"}):
            # What says no more than the default may stay, as in the example.
            if getattr(oidc, name) != Oidc.model_fields[name].default:
                mend = "write issuer, or remove it"
                yield Contradiction((*table, name), issuer, "has no issuer", mend)
    elif oidc.create and not (oidc.domains or oidc.maps_roles):
        why = "would give an account to whoever has one at the issuer"
        mend = "write domains, user_groups or another list of groups"
        yield Contradiction((*table, "create"), (*table, "domains"), why, mend)


def _stores(settings: Settings) -> Iterator[Contradiction]:
    if settings.database.url == settings.database.spool_url:
        why = "is the same file as url: a purge of the record would hold up mail"
        yield Contradiction(
            ("database", "spool_url"), ("database", "url"), why, "write another file, or remove it"
        )


_LEAST_EVENTS_S = 172_800
"""Two days: an event that keeps only its day is told when that day is over."""


def _retention(settings: Settings) -> Iterator[Contradiction]:
    privacy = settings.privacy
    content: KeyPath = ("privacy", "retain_content_s")
    if settings.captures and not privacy.retain_content_s:
        why = "is 0, and mail would be gone as soon as it is captured"
        yield Contradiction(
            content, ("upstream",), why, f"write {CAPTURED_CONTENT_S}, or remove it"
        )
    if not settings.captures and privacy.retain_content_s:
        why = "is not available in this version: content that is forwarded is deleted when settled"
        yield Contradiction(content, ("upstream",), why, "write 0, or remove it")
    if privacy.retain_events_s < _LEAST_EVENTS_S:
        events: KeyPath = ("privacy", "retain_events_s")
        beside: KeyPath = ("tracking", "anonymous_min")
        why = "is less than two days, and anonymous events are told a day later"
        yield Contradiction(events, beside, why, f"write {_LEAST_EVENTS_S} or more")


def _webhooks(settings: Settings) -> Iterator[Contradiction]:
    urls: dict[str, int] = {}
    for number, webhook in enumerate(settings.webhook):
        path: KeyPath = ("webhook", number, "url")
        other = urls.setdefault(webhook.url, number)
        if other != number:
            why = f"is the URL of webhook[{other}] too"
            mend = "write all its events in one table"
            yield Contradiction(path, ("webhook", other, "url"), why, mend)
        if not webhook.allow_private:
            yield from _private(path, webhook)


def _private(path: KeyPath, webhook: Webhook) -> Iterator[Contradiction]:
    beside: KeyPath = (*path[:-1], "allow_private")
    host = url_host(webhook.url)
    address = read_address(host)
    mend = "write another, or allow_private = true"
    if is_loopback(host) or (address is not None and not is_public(address)):
        yield Contradiction(path, beside, "is on no public address", mend)
    elif webhook.url.startswith("http:"):
        yield Contradiction(path, beside, "is not https", mend)
