"""Every option once: type, unit, default and why to change it.

The example file and docs/configuration.md are made from here by `python -m config.reference`.
A name that ends in `_s` counts seconds, in `_bytes` bytes.
"""

from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from config.derive import derive_defaults
from config.kinds import (
    BaseUrl,
    ClickSwitch,
    Count,
    Domain,
    Endpoint,
    Host,
    KeyFile,
    Listen,
    Network,
    OptionalFile,
    OptionalFolder,
    Pattern,
    Port,
    Positive,
    Selector,
    SigningDomain,
    SqliteUrl,
    Switch,
    Text,
    TokenUrl,
    TrackingBase,
)
from config.notices import Notices
from config.oidc import Oidc
from config.section import Section
from config.webhook import Webhook
from ledger.mode import TrackingMode

UpstreamTls = Literal["starttls", "implicit", "opportunistic", "none"]
UpstreamAuth = Literal["password", "xoauth2", "certificate", "none"]


class Server(Section):
    """What is common to relay, collector and console."""

    hostname: Host = "localhost"
    """The name this machine gives itself in EHLO, Received and Reporting-MTA.
    Set it to a name that resolves to this machine: many servers refuse mail from `localhost`."""
    state_dir: Path = Path("var")
    """Folder of databases, keys and spill; relative to this file.
    Set it to a folder on a disk that keeps what was flushed, and back it up."""


class Database(Section):
    """The two stores; they are made and moved forward at start."""

    url: SqliteUrl = "sqlite+aiosqlite:///var/ledger.db"
    """The ledger: sends, hits, events, consent, people. Set it to keep the record on another disk.
    Without it: `ledger.db` in `server.state_dir`."""
    spool_url: SqliteUrl = "sqlite+aiosqlite:///var/spool.db"
    """The spool: mail that is not delivered yet. Set it to keep the queue on the fastest disk.
    Without it: `spool.db` in `server.state_dir`."""


class RelayTls(Section):
    """Certificate and key of the relay itself; a password is taken under TLS only."""

    certificate: OptionalFile = None
    """PEM file of the certificate with its whole chain, such as certbot's `fullchain.pem`; relative
    to this file. A renewed one is in force within seconds, without a restart."""
    private_key: OptionalFile = None
    """PEM file of its key, without a passphrase, such as certbot's `privkey.pem`; relative to this
    file. Keep it readable for the relay's user alone."""
    mode: Literal["starttls", "implicit"] = "starttls"
    """`starttls`: in the clear until the client asks for TLS, as on ports 587 and 25; `implicit`:
    TLS from the first byte, as on port 465. It holds for every address of `relay.listen`."""


class RelayAuth(Section):
    """Who may sign in to submit mail."""

    mode: Literal["none", "users", "upstream"] = "none"
    """`none`: nobody signs in, and only `relay.trusted_networks` may submit. `users`: the people of
    `indicia user add`. `upstream`: whoever the first upstream that serves him signs in; his
    password goes there with his mail. Needs `relay.tls`."""
    max_recipients_per_hour: Count = 10_000
    """For each account, so that a stolen password does little harm; more are put off with 450.
    0: no limit. Microsoft 365 allows 10,000 a day, Gmail 2,000."""


class Relay(Section):
    """Mail in."""

    listen: tuple[Listen, ...] = Field(default=(Endpoint("127.0.0.1", 2525),), min_length=1)
    """Where SMTP is spoken. Add this machine's address to serve other machines."""
    trusted_networks: tuple[Network, ...] = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
    """Who may submit without signing in, as any sender. Add the networks of your own machines only:
    whoever is in here can send mail through you."""
    trusted_proxies: tuple[Network, ...] = ()
    """Proxies that begin each connection with a PROXY header (HAProxy's `send-proxy` or
    `send-proxy-v2`). Whom it names is the client, for `trusted_networks` too."""
    max_message_bytes: Positive = 26_214_400
    """Larger mail is refused with 552. Set it to what the upstream takes."""
    max_recipients: Positive = 1000
    """More recipients in one send are put off with 452, and mail programs send the rest anew."""
    bare_lf: Literal["normalize", "refuse"] = "normalize"
    """A line that ends in LF alone is brought to CRLF once, or the mail is refused with 550.
    `refuse` where every client is known to be right."""
    tls: RelayTls = RelayTls()
    auth: RelayAuth = RelayAuth()


class Upstream(Section):
    """A smart host that takes the mail; without any, mail is captured in the sandbox mailbox."""

    name: Text = "default"
    """Shown in log and events as `upstream`; each one's own."""
    host: Host
    """Name or address of the smart host."""
    port: Port = 587
    """587 for submission, 465 with `tls = "implicit"`, 25 between servers."""
    tls: UpstreamTls = "starttls"
    """`starttls` and `implicit` verify the certificate and never send without; `opportunistic`
    takes what is offered, unverified; `none` where the way is safe by itself, as on one machine."""
    username: str = ""
    """Name to sign in with; empty: without signing in, or with a certificate alone. Where
    `relay.auth.mode` is `upstream` it serves for reports and for mail nobody signed in for."""
    password_file: OptionalFile = None
    """File whose first line is the password; relative to this file. Keep it readable for the
    relay's user alone."""
    auth: UpstreamAuth = "password"
    """How to sign in: `password` where `username` is set, `xoauth2` with an OAuth access token,
    `certificate` with one of ours in the TLS handshake; `none`: never. Microsoft 365 and Gmail
    switch passwords off."""
    oauth_token_url: TokenUrl = ""
    """Where `xoauth2` asks for access tokens, as the provider's documentation says."""
    oauth_client_id: str = ""
    """The application's id there."""
    oauth_client_secret_file: OptionalFile = None
    """File whose first line is the application's secret; relative to this file."""
    oauth_scope: str = ""
    """What the token is asked for; Microsoft 365: `https://outlook.office365.com/.default`."""
    oauth_refresh_token_file: OptionalFile = None
    """File whose first line is a refresh token, where tokens are given in a person's name, as Gmail
    does it; without it they are asked for in the application's own (client credentials)."""
    client_certificate_file: OptionalFile = None
    """PEM file of the certificate that `certificate` shows, with its chain; relative to this
    file."""
    client_private_key_file: OptionalFile = None
    """PEM file of its key, without a passphrase; relative to this file. Keep it readable for the
    relay's user alone."""
    senders: tuple[Pattern, ...] = Field(default=("*",), min_length=1)
    """Which envelope senders it serves: the first upstream that matches, then the next ones that
    match where it can not be reached."""
    max_connections: Positive = 10
    """At most so many at once. Microsoft 365 allows 3 a mailbox."""
    max_recipients_per_transaction: Positive = 100
    """Copies for more recipients are sent in several transactions (RFC 5321 4.5.3.1.8: 100)."""
    max_messages_per_minute: Count = 0
    """More wait in the queue; 0: no limit. Set it to what the provider allows, such as Microsoft
    365 with 30 a mailbox. Each relay process counts for itself."""
    saves_sent: Switch = False
    """Set it where the upstream files what it is given in the sender's Sent folder, as Microsoft
    365 and Gmail do, so that he may open his own pixel."""


class Retry(Section):
    """When deferred mail is tried again."""

    first_after_s: Positive = 60
    """Pause after the first try; it doubles with each further one."""
    max_after_s: Positive = 3600
    """The longest pause."""
    give_up_after_s: Positive = 432_000
    """The sender gets a bounce then (RFC 5321 4.5.4.1: 4 to 5 days). Shorter where mail that is
    late is worth nothing."""
    delay_notice_after_s: Count = 14_400
    """The sender is told once that his mail is late; 0: never."""
    lease_s: Positive = 60
    """A copy being delivered is another process's when it is not settled or renewed by then."""


class Tracking(Section):
    """What may be tracked; rules, consent and controls in the mail only narrow it."""

    base_url: TrackingBase = "http://127.0.0.1:8025"
    """Where recipients reach the collector: the start of every pixel and link, and part of mail
    already sent, so choose it for good. http only on this machine. Without it: the first address
    of `collector.listen`, where that is on this machine."""
    mode: TrackingMode = TrackingMode.INDIVIDUAL
    """Ceiling for everybody: `off`, `anonymous` (someone), `shared` (someone of these) or
    `individual`."""
    opens: Switch = True
    """Put in a pixel."""
    clicks: ClickSwitch = True
    """Track links; `"seats"`: for the senders in `seats` only."""
    seats: tuple[Pattern, ...] = ()
    """Senders who have click tracking when `clicks = "seats"`."""
    max_copies: Count = 50
    """A send to more envelope recipients than this is `shared`: one copy for all. 0: always.
    Lower it where the upstream counts messages."""
    unknown_consent: TrackingMode
    """Mode for recipients with no consent on record. Left out: `individual`, allowed only while
    `base_url` is on this machine; else it must be said, for it is a matter of law."""
    anonymous_min: Count = 5
    """An anonymous copy with fewer recipients keeps no send, only sender and day."""
    observe: Switch = False
    """Change no mail, but record what would have been done: to look before switching on."""
    internal_domains: tuple[Domain, ...] = ()
    """Recipients there are not tracked: your own domains."""
    excluded_hosts: tuple[Domain, ...] = ()
    """Links to these hosts are left alone, such as those of a system that signs its URLs."""
    skip_url_text: Switch = True
    """A link whose text is itself a URL stays as it is: filters call the mismatch phishing."""
    text_clicks: Switch = False
    """Track links in text/plain too. The reader sees our URL there, so ask whether that is wanted;
    a mail without text/html is then tracked by its links alone."""
    max_url_length: Positive = 2000
    """Longer links are left alone: some mail programs cut them."""
    pixel_position: Literal["auto", "top"] = "auto"
    """`auto`: before quoted history or at the end, at the top where Gmail would clip (102 KB)."""
    dkim_signed: Literal["skip", "track", "resign"] = "skip"
    """Mail that was DKIM-signed before it came here: `skip` leaves it alone, `track` breaks the
    signature, `resign` puts one of ours in its place where `[[dkim]]` has a key of the author's
    domain, and else skips. Better: sign after the relay."""


class Dkim(Section):
    """A key that signs tracked copies anew, where `tracking.dkim_signed = "resign"`.

    Of several keys of a domain the first signs; the others end what they have begun.
    """

    domain: SigningDomain
    """The domain of From, exactly: the tag d= of the signature."""
    selector: Selector
    """The tag s=: the public key is the TXT record `SELECTOR._domainkey.DOMAIN`."""
    private_key_file: KeyFile
    """RSA key in PEM, 2048 bits; relative to this file. Keep it readable for the relay's user
    alone."""


class TrackingHost(Section):
    """An own base for some senders: a link host foreign to the From domain looks like phishing."""

    senders: tuple[Pattern, ...] = Field(min_length=1)
    """Envelope senders it is for; the first tracking host that matches."""
    base_url: TrackingBase
    """As `tracking.base_url`."""


class Rule(Section):
    """Narrows what may be tracked for all whom it matches; the order does not matter."""

    name: Text
    """Shown as the reason by `explain` and in the log."""
    sender: Pattern | None = None
    """Envelope senders; left out: all."""
    account: Pattern | None = None
    """Who signed in; left out: all."""
    recipient: Pattern | None = None
    """Envelope recipients; left out: all."""
    mode: TrackingMode = TrackingMode.INDIVIDUAL
    """At most this mode."""
    opens: Switch = True
    """false: no pixel."""
    clicks: Switch = True
    """false: no tracked links."""


class Collector(Section):
    """Hits in."""

    listen: tuple[Listen, ...] = Field(default=(Endpoint("127.0.0.1", 8025),), min_length=1)
    """Where HTTP is spoken; put a proxy with TLS before it."""
    trusted_proxies: tuple[Network, ...] = ()
    """Proxies whose X-Forwarded-For is believed: the client is its right-most address that is not
    one of them."""
    ranges_dir: OptionalFolder = None
    """Folder of `NAME.ranges`: published networks of scanners, proxies and previews, which you
    fetch; relative to this file. Set it to let them support what the rules see; a file that is
    replaced is in force within seconds. None is needed."""
    mx_lookups: Switch = False
    """true: the MX of recipients' domains is looked up, by the nameservers of this system, when
    their opens and clicks come; a gateway known to scan links is then a weak sign among others.
    The nameservers learn the domains, nothing more; of anonymous copies nothing is asked."""


class Console(Section):
    """What people see."""

    listen: tuple[Listen, ...] = Field(default=(Endpoint("127.0.0.1", 8026),), min_length=1)
    """Where HTTP is spoken; put a proxy with TLS before it to serve other machines."""
    public_url: BaseUrl = "http://127.0.0.1:8026"
    """Where people reach the console: the start of sign-in links. Without it: the first address of
    `console.listen`."""
    oidc: Oidc = Oidc()


class Privacy(Section):
    """What is kept, and for how long."""

    keep_network: Literal["none", "truncated", "full"] = "truncated"
    """How much of a reader's IP address is kept with an event; `truncated`: /24 and /48."""
    retain_events_s: Positive = 34_560_000
    """Events, hits and sends are kept so long: 400 days, a year and what it takes to compare."""
    retain_content_s: Count = 0
    """Captured mail is kept so long: a week. Content of forwarded mail is deleted when it is
    settled, and 0 is the only value there: nothing here would show it."""
    own_networks: tuple[Network, ...] = ()
    """Hits from here are our own people's: labelled `self` and never notified."""
    honour_gpc: Switch = True
    """A click with `Sec-GPC: 1` is redirected and counted as anonymous."""
    notice: str = ""
    """Your own words on the page at the root of the tracking host, where recipients look what is
    recorded of them: who is responsible, on what legal basis. Plain text; an empty line begins
    a paragraph."""
    contact: str = ""
    """Who answers questions about personal data, as that page names him: a mail address, a name."""


class Settings(BaseSettings):
    """The whole configuration; given as it is, for `config.load` reads file and environment."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    server: Server = Server()
    database: Database = Database()
    relay: Relay = Relay()
    upstream: tuple[Upstream, ...] = ()
    retry: Retry = Retry()
    tracking: Tracking
    dkim: tuple[Dkim, ...] = ()
    tracking_host: tuple[TrackingHost, ...] = ()
    rule: tuple[Rule, ...] = ()
    collector: Collector = Collector()
    console: Console = Console()
    notices: Notices = Notices()
    webhook: tuple[Webhook, ...] = ()
    privacy: Privacy = Privacy()

    @model_validator(mode="before")
    @classmethod
    def _derive(cls, given: object) -> object:
        return derive_defaults(given) if isinstance(given, Mapping) else given

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - pydantic-settings' signature
        init_settings: PydanticBaseSettingsSource,
        *_others: PydanticBaseSettingsSource,
        **_named: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return what was given as the only source: a fault must tell the line it came from."""
        return (init_settings,)

    @property
    def captures(self) -> bool:
        """Whether mail is captured instead of forwarded."""
        return not self.upstream

    @property
    def keys_dir(self) -> Path:
        """The folder of the signing keys."""
        return self.server.state_dir / "keys"
