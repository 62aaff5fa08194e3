"""The rules of one hit: what its request and network tell.

A rule is a pure function and cites where its sign was seen; RULES is the list, to be extended.
Weights: 0.9 says who it is, 0.8 hardly leaves a doubt, under 0.5 is a sign among others.
Law: the gateway of a recipient changes no label where no two other signs of a scanner are.
"""

import re
from collections.abc import Callable

from collector.agents import KnownAgent, is_listed_crawler, match_agent
from collector.hit import Evidence, Scene, Trace
from collector.networks import GOOGLE, LISTED, MICROSOFT_MAIL, OWN
from collector.sweeps import (
    OWN_BROWSER,
    altered_alone,
    altered_beside,
    altered_token,
    early,
    is_sweep,
    leaves_and_more,
    looked_first,
    many_places,
    neighbours,
    sweep,
    swept_view,
    two_at_once,
)
from ledger.event import Agent
from ledger.token import HitKind

RULES_VERSION = "2026.11.4"
"""Year, month and count; changed whenever a rule, weight or list is."""

Rule = Callable[[Scene], Evidence | None]


def own_network(scene: Scene) -> Evidence | None:
    """Take hits from the operator's networks for `self`, unless they are a sweep (contract)."""
    if OWN in scene.hit.lists and not is_sweep(scene):
        return Evidence("own_network", Agent.SELF, 0.99)
    return None


def own_browser(scene: Scene) -> Evidence | None:
    """Take hits of browsers that are marked as own for `self`, unless a sweep (contract)."""
    if OWN_BROWSER in scene.hit.signs and not is_sweep(scene):
        return Evidence("own_browser", Agent.SELF, 0.99)
    return None


def known_agent(scene: Scene) -> Evidence | None:
    """Weigh a User-Agent that says what it is."""
    known = _agent_of(scene.hit)
    return None if known is None else Evidence(known.rule, known.agent, known.weight)


def gmail_network(scene: Scene) -> Evidence | None:
    """See whether network or Referer agree with a Gmail agent (mautic#10245: 108.177.2.32)."""
    known = _agent_of(scene.hit)
    from_google = GOOGLE in scene.hit.lists or scene.hit.headers.get("referer") == "mail.google.com"
    if known is None or not from_google or not known.rule.startswith("gmail_"):
        return None
    return Evidence("gmail_network", known.agent, 0.4)


def listed_crawler(scene: Scene) -> Evidence | None:
    """Ask the list of crawler-user-agents, where no entry of ours speaks."""
    if _agent_of(scene.hit) is None and is_listed_crawler(scene.hit.agent):
        return Evidence("listed_crawler", Agent.SCANNER, 0.85)
    return None


def browser_prefetch(scene: Scene) -> Evidence | None:
    """See a browser load ahead (Sec-Purpose: W3C, Speculation Rules, 6)."""
    if "prefetch" in scene.hit.headers.get("sec-purpose", ""):
        return Evidence("browser_prefetch", Agent.PREFETCH, 0.95)
    return None


def preview_header(scene: Scene) -> Evidence | None:
    """See the older spellings, with which previews of links announce themselves (contract)."""
    for name in ("purpose", "x-purpose", "x-moz"):
        if scene.hit.headers.get(name, "").lower() in ("prefetch", "preview"):
            return Evidence("preview_header", Agent.UNFURL, 0.9, name)
    return None


def empty_agent(scene: Scene) -> Evidence | None:
    """See no User-Agent: no browser does that, but projects disagree, so it is weak."""
    return None if scene.hit.agent else Evidence("empty_agent", Agent.SCANNER, 0.4)


def old_browser(scene: Scene) -> Evidence | None:
    """See a browser of long ago: what SafeLinks and Defender claim to be (Chrome/57, MSIE 8.0)."""
    chrome = _version(_CHROME, scene.hit)
    known = _agent_of(scene.hit)
    if known is None and (0 < chrome < 70 or "MSIE " in scene.hit.agent):  # noqa: PLR2004 - of 2018
        return Evidence("old_browser", Agent.SCANNER, 0.45)
    return None


def browser_agent(scene: Scene) -> Evidence | None:
    """See a browser's User-Agent; a bank's scanner sent a perfect Chrome/148, so it is weak.

    Of views within programs on iOS the name ends at `Mobile/15E148`.
    """
    return Evidence("browser_agent", Agent.HUMAN_LIKELY, 0.45) if _browser(scene.hit) else None


def fetch_metadata(scene: Scene) -> Evidence | None:
    """See that the request says what fits: an image, or a page (W3C Fetch Metadata 2.1)."""
    fits = {HitKind.OPEN: "image", HitKind.CLICK: "document"}[scene.hit.kind]
    if _browser(scene.hit) and scene.hit.headers.get("sec-fetch-dest") == fits:
        return Evidence("fetch_metadata", Agent.HUMAN_LIKELY, 0.45)
    return None


def fetch_metadata_missing(scene: Scene) -> Evidence | None:
    """Miss what Chrome says since 80 and Firefox since 90 of each request to https."""
    hit = scene.hit
    says_since = _version(_CHROME, hit) >= 80 or _version(_FIREFOX, hit) >= 90  # noqa: PLR2004 - their versions
    if _browser(hit) and says_since and "sec-fetch-dest" not in hit.headers:
        return Evidence("fetch_metadata_missing", Agent.SCANNER, 0.35)
    return None


def fetch_metadata_contradicts(scene: Scene) -> Evidence | None:
    """See a pixel fetched as a page, or a link as an image (W3C Fetch Metadata 2.1)."""
    said = scene.hit.headers.get("sec-fetch-dest")
    odd = {HitKind.OPEN: ("document", "empty"), HitKind.CLICK: ("image", "empty")}
    if said in odd[scene.hit.kind]:
        return Evidence("fetch_metadata_contradicts", Agent.SCANNER, 0.45, said or "")
    return None


def accept_missing(scene: Scene) -> Evidence | None:
    """Miss what formats are wanted, as each browser says (HTML Standard, Fetch 4.1)."""
    if _browser(scene.hit) and "accept" not in scene.hit.headers:
        return Evidence("accept_missing", Agent.SCANNER, 0.35)
    return None


def language(scene: Scene) -> Evidence | None:
    """See a preferred language: programs for people have one."""
    if "accept-language" in scene.hit.headers:
        return Evidence("language", Agent.HUMAN_LIKELY, 0.3)
    return None


def language_missing(scene: Scene) -> Evidence | None:
    """Miss the preferred language of what claims to be a browser."""
    if _browser(scene.hit) and "accept-language" not in scene.hit.headers:
        return Evidence("language_missing", Agent.SCANNER, 0.3)
    return None


def published_range(scene: Scene) -> Evidence | None:
    """See an address in a file of ranges that the operator keeps (`collector.ranges_dir`)."""
    for name in scene.hit.lists:
        if name.startswith(f"{LISTED}:"):
            _, kind, file, as_of = name.split(":")
            return Evidence("published_range", Agent(kind), 0.45, f"{file} of {as_of}")
    return None


def mail_gateway(scene: Scene) -> Evidence | None:
    """See the hosts of a mail service, where no people sit (gophish#973)."""
    if MICROSOFT_MAIL in scene.hit.lists:
        return Evidence("mail_gateway", Agent.SCANNER, 0.45)
    return None


def mx_gateway(scene: Scene) -> Evidence | None:
    """Know by his MX that a gateway scans the recipient's mail (Act-On tells to look by hand).

    So it is for all that people at such a domain do: the weight leaves the weightiest weak sign
    beside it, of 0.45, under what a label must reach.
    """
    if scene.hit.gateway:
        return Evidence("mx_gateway", Agent.SCANNER, 0.09, scene.hit.gateway)
    return None


RULES: tuple[Rule, ...] = (
    own_network,
    own_browser,
    known_agent,
    gmail_network,
    listed_crawler,
    browser_prefetch,
    preview_header,
    sweep,
    swept_view,
    two_at_once,
    leaves_and_more,
    many_places,
    neighbours,
    altered_token,
    altered_beside,
    altered_alone,
    looked_first,
    early,
    empty_agent,
    old_browser,
    browser_agent,
    fetch_metadata,
    fetch_metadata_missing,
    fetch_metadata_contradicts,
    accept_missing,
    language,
    language_missing,
    published_range,
    mail_gateway,
    mx_gateway,
)

_BROWSER = re.compile(r"Mozilla/5\.0 \([^)]+\) .*(?:Chrome|Firefox|Safari|Edg|OPR|Mobile)/\w+")
_CHROME = re.compile(r"\bChrome/(\d+)")
_FIREFOX = re.compile(r"\bFirefox/(\d+)")


def _agent_of(hit: Trace) -> KnownAgent | None:
    return match_agent(hit.agent, hit.kind)


def _browser(hit: Trace) -> bool:
    return (
        _agent_of(hit) is None
        and _BROWSER.match(hit.agent) is not None
        and not is_listed_crawler(hit.agent)
    )


def _version(named: re.Pattern[str], hit: Trace) -> int:
    match = named.search(hit.agent)
    return int(match[1]) if match else 0
