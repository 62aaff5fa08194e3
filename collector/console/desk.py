"""What every page has at hand: the stores and where it is served."""

from dataclasses import dataclass

from aiohttp import web
from yarl import URL

from collector.console.door import Door
from collector.console.pair import Decide
from collector.console.provider import Provider
from collector.console.throttle import Throttle
from collector.console.watch import Watch
from collector.networks import IpNetwork
from config.notices import Notices
from config.settings import Rule, Tracking
from ledger.engine import Store
from ledger.token import TokenKey


@dataclass(frozen=True, slots=True)
class Desk:
    """The parts a request is answered from; built once in app."""

    ledger: Store
    spool: Store
    public_url: URL
    """Where people reach the console; URLs are made from it, never from a request."""
    sandbox: bool
    """No upstream: mail is captured."""
    watch: Watch
    door: Door
    provider: Provider | None
    """By whom people may sign in instead of by password; None: by nobody."""
    arrivals: Throttle
    """Who comes back from the provider and is not let in."""
    trusted_proxies: tuple[IpNetwork, ...]
    """Whose word is taken for the client's address: the same that stand before the collector."""
    audit_key: bytes
    """Of the pseudonyms in the audit log."""
    tracking: Tracking
    """What the configuration says for everybody; the page of policy shows it."""
    rules: tuple[Rule, ...]
    """Those of the configuration."""
    decide: Decide
    """What would be done with a mail: the relay's own judgement."""
    signing_key: TokenKey
    """Of links to the tracking hosts."""
    bases: tuple[str, ...]
    """Of the tracking hosts: scheme, host and port."""
    notices: Notices
    """What is configured of them for all."""

    @property
    def secure(self) -> bool:
        """Whether browsers reach it by https, so that cookies may say so."""
        return self.public_url.scheme == "https"


DESK = web.AppKey("desk", Desk)
