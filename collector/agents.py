"""Programs that say in User-Agent what they are.

Data, with the place where each was seen; rules weigh it.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from crawleruseragents import is_crawler

from ledger.event import Agent
from ledger.token import HitKind


@dataclass(frozen=True, slots=True)
class KnownAgent:
    """A User-Agent that says what it is."""

    rule: str
    agent: Agent
    weight: float
    pattern: "re.Pattern[str]"
    only: HitKind | None = None


def _known(
    rule: str, agent: Agent, weight: float, pattern: str, only: HitKind | None = None
) -> KnownAgent:
    return KnownAgent(rule, agent, weight, re.compile(pattern, re.IGNORECASE), only)


_OPEN = HitKind.OPEN

# The first that matches speaks.  Where no other place is named: crawler-user-agents (github.com/
# monperrus/crawler-user-agents), which says what it is but not what that means for mail.
_KNOWN_AGENTS = (
    # "… (via ggpht.com GoogleImageProxy)", on view, then cached: Anymail's tests, SendGrid
    _known("gmail_image_proxy", Agent.PROXY, 0.9, r".*GoogleImageProxy.*", _OPEN),
    # Right after delivery, before the real open: github.com/mautic/mautic/pull/10245, ahoy#139.
    # One project takes it for Outlook: surer where network or Referer agree (gmail_network).
    _known(
        "gmail_prefetch",
        Agent.PREFETCH,
        0.7,
        r".*Chrome/42\.0\.2311\.135 Safari/537\.36 Edge/12\.246 Mozilla/5\.0",
        _OPEN,
    ),
    # Nothing but "Mozilla/5.0": Mailgun's own sample event, Groundhogg
    _known("apple_mail_privacy", Agent.PREFETCH, 0.8, r"Mozilla/5\.0", _OPEN),
    # Ends at "(KHTML, like Gecko)": Apple's prefetch, but Apple Mail and Outlook for Mac as well
    # (warmbly#569), so it is weak
    _known(
        "webkit_mail",
        Agent.PREFETCH,
        0.45,
        r"Mozilla/5\.0 \([^)]*\) AppleWebKit/[\d.]+ \(KHTML, like Gecko\)",
        _OPEN,
    ),
    _known("yahoo_image_proxy", Agent.PROXY, 0.9, r"YahooMailProxy.*", _OPEN),
    _known("fastmail_image_proxy", Agent.PROXY, 0.9, r"FastmailUA/.*", _OPEN),
    # Names these proxies have in the lists of others; no sighting with a date is public
    _known(
        "provider_image_proxy",
        Agent.PROXY,
        0.85,
        r".*(?:OutlookImageProxy|Proton ?Mail|ProtonImageProxy|HEY ?(?:Image)?Proxy|HEY\.com).*",
        _OPEN,
    ),
    # "Mozilla/5.0 SeznamEmailProxy/2.0.174": github.com/matomo-org/device-detector/issues/5668
    _known("seznam_image_proxy", Agent.PROXY, 0.9, r".*SeznamEmailProxy/.*", _OPEN),
    _known("shortwave_image_proxy", Agent.PROXY, 0.9, r"Shortwave Image Fetcher.*", _OPEN),
    # OPTIONS and HEAD by Office on a click, seldom GET
    _known(
        "office_probe",
        Agent.SCANNER,
        0.8,
        r"Microsoft Office (?:Existence|Protocol) Discovery.*|Microsoft-WebDAV-MiniRedir/.*",
    ),
    # A person's view: "Microsoft Office/16.0 (…; Microsoft Outlook 16.0…; Pro)", "…; ms-office; …"
    _known(
        "outlook_desktop", Agent.HUMAN_LIKELY, 0.8, r".*(?:Microsoft Outlook|ms-office|MSOffice).*"
    ),
    # Programs that fetch when the mail is shown, from the reader's own network
    _known(
        "mail_program",
        Agent.HUMAN_LIKELY,
        0.8,
        r"Mozilla/5\.0 .*\b(?:Thunderbird|SeaMonkey|Betterbird)/[\d.]+.*"
        r"|(?:Evolution|KMail|eM ?Client)\b.*",
    ),
    # When somebody pastes the link
    _known(
        "chat_preview",
        Agent.UNFURL,
        0.9,
        r".*(?:Slackbot|Slack-ImgProxy|SkypeUriPreview|MicrosoftPreview/|TelegramBot|Discordbot"
        r"|facebookexternalhit|LinkedInBot|Twitterbot|Mattermost-Bot|Synapse|Google-PageRenderer"
        r"|redditbot|Iframely|Embedly|Bluesky|Mastodon).*|WhatsApp/.*|Signal.*",
    ),
    # The field's own webhooks and probes
    _known(
        "webhook_loop", Agent.SCANNER, 0.8, r".*(?:HubSpot Connect|SendGrid Event API|SparkPost).*"
    ),
    _known("link_scanner", Agent.SCANNER, 0.9, r".*(?:Barracuda|Mimecast|Proofpoint|ironport).*"),
    # Command-line programs, HTTP libraries and monitors
    _known(
        "http_tool",
        Agent.SCANNER,
        0.9,
        r"(?:curl|Wget|HTTPie|libwww-perl|PostmanRuntime|insomnia|lwp-\w+|Java|okhttp|undici|axios|got"
        r"|node|node-fetch|Deno|Bun|Ruby|PHP|GuzzleHttp|Dart|Faraday|rest-client|check_http"
        r"|python[\w.-]*|Apache-HttpClient|Go-http-client|ReactorNetty|reqwest|hyper|ureq)"
        r"(?:[/ (].*)?"
        r"|.*\b(?:aiohttp|httpx|urllib|libcurl|PowerShell|Uptime|StatusCake|Pingdom)\b.*",
    ),
    # A browser without a window
    _known("headless_browser", Agent.SCANNER, 0.9, r".*(?:HeadlessChrome|PhantomJS|Puppeteer).*"),
)


@lru_cache(maxsize=4096)
def match_agent(agent: str, kind: HitKind) -> KnownAgent | None:
    """Return what a User-Agent says it is, None where it is not listed here."""
    for known in _KNOWN_AGENTS:
        if known.only in (None, kind) and known.pattern.fullmatch(agent):
            return known
    return None


@lru_cache(maxsize=4096)
def is_listed_crawler(agent: str) -> bool:
    """Tell whether crawler-user-agents has it, some 600 expressions: remembered by agent."""
    return bool(agent) and bool(is_crawler(agent))
