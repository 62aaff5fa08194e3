"""What is said about tracking by the organisation and by recipients."""

from dataclasses import dataclass

from ledger.address import Address, matches_pattern
from ledger.consent import Consents
from ledger.mode import TrackingMode
from relay.mail import Signing

NONE_ON_RECORD = Consents()


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule narrows for all whom it matches; a key left out (None) matches all."""

    name: str
    sender: str | None = None
    account: str | None = None
    recipient: str | None = None
    mode: TrackingMode = TrackingMode.INDIVIDUAL
    opens: bool = True
    clicks: bool = True


@dataclass(frozen=True, slots=True)
class TrackingHost:
    """The base of all our URLs for the senders that match one of the patterns."""

    senders: tuple[str, ...]
    base_url: str
    """Scheme and host, without a final slash."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The options of `[tracking]`, with rules, hosts, consents and the switch for everybody."""

    hostname: str
    base_url: str
    """Without a final slash."""
    mode: TrackingMode = TrackingMode.INDIVIDUAL
    opens: bool = True
    clicks: bool = True
    """False also where clicks = "seats" and `seats` is empty."""
    seats: tuple[str, ...] | None = None
    """Patterns of senders who have click tracking; None: clicks does not depend on seats."""
    max_copies: int = 50
    unknown_consent: TrackingMode = TrackingMode.ANONYMOUS
    observe: bool = False
    internal_domains: tuple[str, ...] = ()
    excluded_hosts: tuple[str, ...] = ()
    skip_url_text: bool = True
    text_clicks: bool = False
    max_url_length: int = 2000
    pixel_at_top: bool = False
    """`pixel_position = "top"`; otherwise it is chosen by the content."""
    track_dkim_signed: bool = False
    signings: tuple[Signing, ...] = ()
    """`dkim_signed = "resign"`: the keys that sign; of a domain the first one does."""
    rules: tuple[Rule, ...] = ()
    """Those of the configuration and those that admins keep."""
    tracking_hosts: tuple[TrackingHost, ...] = ()
    consents: Consents = NONE_ON_RECORD
    tracking: bool = True
    """False: an admin has switched it off for everybody."""
    known: bool = True
    """False: what admins and recipients have said could never be read."""

    @property
    def own_bases(self) -> tuple[str, ...]:
        """Every base under which a URL is ours, in the order of the configuration."""
        return (self.base_url, *(host.base_url for host in self.tracking_hosts))

    def base_for(self, sender: Address | None) -> str:
        """Return a sender's base: of the first tracking host that matches, else the default."""
        if sender is not None:
            for host in self.tracking_hosts:
                if any(matches_pattern(pattern, sender) for pattern in host.senders):
                    return host.base_url
        return self.base_url
