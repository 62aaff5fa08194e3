"""The relay's words for what the configuration says."""

import config.settings
from config.settings import Dkim, Settings
from ledger.address import domain_key
from relay.mail import Signing
from relay.policy import Policy, Rule, TrackingHost
from relay.upstream import ClientCertificate, OAuth, TlsMode, Upstream


def policy_of(settings: Settings) -> Policy:
    """Return `[tracking]` with the rules and tracking hosts."""
    tracking = settings.tracking
    return Policy(
        hostname=settings.server.hostname,
        base_url=tracking.base_url,
        mode=tracking.mode,
        opens=tracking.opens,
        clicks=bool(tracking.seats) if tracking.clicks == "seats" else tracking.clicks,
        seats=tracking.seats if tracking.clicks == "seats" else None,
        max_copies=tracking.max_copies,
        unknown_consent=tracking.unknown_consent,
        observe=tracking.observe,
        internal_domains=tracking.internal_domains,
        excluded_hosts=tracking.excluded_hosts,
        skip_url_text=tracking.skip_url_text,
        text_clicks=tracking.text_clicks,
        max_url_length=tracking.max_url_length,
        pixel_at_top=tracking.pixel_position == "top",
        track_dkim_signed=tracking.dkim_signed == "track",
        signings=tuple(map(signing_of, settings.dkim)) if tracking.dkim_signed == "resign" else (),
        rules=tuple(Rule(**dict(rule)) for rule in settings.rule),
        tracking_hosts=tuple(TrackingHost(**dict(host)) for host in settings.tracking_host),
    )


def signing_of(table: Dkim) -> Signing:
    """Return whose key a `[[dkim]]` is."""
    return Signing(domain_key(table.domain), table.selector)


def upstreams_of(settings: Settings) -> tuple[Upstream, ...]:
    """Return the upstreams in the order of the file; none where mail is captured."""
    return tuple(
        Upstream(
            name=upstream.name,
            host=upstream.host,
            port=upstream.port,
            tls=TlsMode(upstream.tls),
            username="" if upstream.auth == "none" else upstream.username,
            password_file=upstream.password_file,
            oauth=_oauth_of(upstream),
            certificate=_certificate_of(upstream),
            senders=upstream.senders,
            max_connections=upstream.max_connections,
            max_recipients_per_transaction=upstream.max_recipients_per_transaction,
            max_messages_per_minute=upstream.max_messages_per_minute,
        )
        for upstream in settings.upstream
    )


def _oauth_of(table: config.settings.Upstream) -> OAuth | None:
    if table.auth != "xoauth2":
        return None
    return OAuth(
        table.oauth_token_url,
        table.oauth_client_id,
        table.oauth_client_secret_file,
        table.oauth_scope,
        table.oauth_refresh_token_file,
    )


def _certificate_of(table: config.settings.Upstream) -> ClientCertificate | None:
    shown, key = table.client_certificate_file, table.client_private_key_file
    if table.auth != "certificate" or shown is None or key is None:
        return None
    return ClientCertificate(shown, key)
