"""The rules: each looks at a scene and may give evidence.

A rule is a pure function and cites where its sign was seen; RULES is the list, to be extended.
Weights: 0.9 says who it is, 0.8 hardly leaves a doubt, under 0.5 is a sign among others.
"""

import re
from collections.abc import Callable
from datetime import timedelta

from collector.agents import KnownAgent, is_listed_crawler, match_agent
from collector.hit import Evidence, Scene, Trace
from collector.networks import GOOGLE, MICROSOFT_MAIL, OWN
from ledger.event import Agent
from ledger.token import HitKind

RULES_VERSION = "2026.11.1"
"""Year, month and count; changed whenever a rule, weight or list is."""

SWEEP_LINKS = 3
SWEEP_WITHIN = timedelta(seconds=10)

Rule = Callable[[Scene], Evidence | None]


def own_network(scene: Scene) -> Evidence | None:
    """Take hits from the operator's networks for `self`, unless they are a sweep (contract)."""
    if OWN in scene.hit.lists and _distinct_links(scene) < SWEEP_LINKS:
        return Evidence("own_network", Agent.SELF, 0.99)
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


def sweep(scene: Scene) -> Evidence | None:
    """See three links of one copy within ten seconds (craft-campaign#546; mautic#16263).

    Of a copy with several readers the network has to be the same.
    """
    links = _distinct_links(scene)
    if links < SWEEP_LINKS:
        return None
    return Evidence("sweep", Agent.SCANNER, 0.9 if links < SWEEP_LINKS + 2 else 0.95, str(links))


def empty_agent(scene: Scene) -> Evidence | None:
    """See no User-Agent: no browser does that, but projects disagree, so it is weak."""
    return None if scene.hit.agent else Evidence("empty_agent", Agent.SCANNER, 0.4)


def old_browser(scene: Scene) -> Evidence | None:
    """See a browser of long ago: what SafeLinks and Defender claim to be (Chrome/57, MSIE 8.0)."""
    chrome = _chrome(scene.hit)
    known = _agent_of(scene.hit)
    if known is None and (0 < chrome < 70 or "MSIE " in scene.hit.agent):  # noqa: PLR2004 - of 2018
        return Evidence("old_browser", Agent.SCANNER, 0.45)
    return None


def browser_agent(scene: Scene) -> Evidence | None:
    """See a browser's User-Agent; a bank's scanner sent a perfect Chrome/148, so it is weak."""
    return Evidence("browser_agent", Agent.HUMAN_LIKELY, 0.45) if _browser(scene.hit) else None


def fetch_metadata(scene: Scene) -> Evidence | None:
    """See that the request says what fits: an image, or a page (W3C Fetch Metadata 2.1)."""
    fits = {HitKind.OPEN: "image", HitKind.CLICK: "document"}[scene.hit.kind]
    if _browser(scene.hit) and scene.hit.headers.get("sec-fetch-dest") == fits:
        return Evidence("fetch_metadata", Agent.HUMAN_LIKELY, 0.45)
    return None


def fetch_metadata_missing(scene: Scene) -> Evidence | None:
    """Miss what Chrome says since 80 of each request to https and to its own machine."""
    if _browser(scene.hit) and _chrome(scene.hit) >= 80 and not _says_dest(scene.hit):  # noqa: PLR2004 - its version
        return Evidence("fetch_metadata_missing", Agent.SCANNER, 0.35)
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


def mail_gateway(scene: Scene) -> Evidence | None:
    """See the hosts of a mail service, where no people sit (gophish#973)."""
    if MICROSOFT_MAIL in scene.hit.lists:
        return Evidence("mail_gateway", Agent.SCANNER, 0.45)
    return None


RULES: tuple[Rule, ...] = (
    own_network,
    known_agent,
    gmail_network,
    listed_crawler,
    browser_prefetch,
    preview_header,
    sweep,
    empty_agent,
    old_browser,
    browser_agent,
    fetch_metadata,
    fetch_metadata_missing,
    language,
    language_missing,
    mail_gateway,
)

_BROWSER = re.compile(r"Mozilla/5\.0 \([^)]+\) .*(?:Chrome|Firefox|Safari|Edg|OPR)/\d+")
_CHROME = re.compile(r"\bChrome/(\d+)")


def _agent_of(hit: Trace) -> KnownAgent | None:
    return match_agent(hit.agent, hit.kind)


def _browser(hit: Trace) -> bool:
    return (
        _agent_of(hit) is None
        and _BROWSER.match(hit.agent) is not None
        and not is_listed_crawler(hit.agent)
    )


def _chrome(hit: Trace) -> int:
    match = _CHROME.search(hit.agent)
    return int(match[1]) if match else 0


def _says_dest(hit: Trace) -> bool:
    return "sec-fetch-dest" in hit.headers


def _distinct_links(scene: Scene) -> int:
    """Return how many links were asked for in the fullest ten seconds that hold the hit."""
    if scene.hit.kind is HitKind.OPEN:
        return 0
    near = [
        one
        for one in (*scene.others, scene.hit)
        if one.kind is HitKind.CLICK
        and abs(one.at - scene.hit.at) <= SWEEP_WITHIN
        and (scene.readers == 1 or one.network == scene.hit.network)
    ]
    return max(
        len({one.slot for one in near if start.at <= one.at <= start.at + SWEEP_WITHIN})
        for start in near
        if start.at <= scene.hit.at
    )
