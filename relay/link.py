"""LINK: whether a link is tracked, and where it leads.

The destination is the URL as the URL Standard serialises it, so that what is signed is what a
browser asks for.  Nothing is ever appended to it.  The reasons are those of docs/reasons.md.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

from ada_url import normalize_url

from ledger.address import matches_domain
from ledger.token import TOKEN_CHARACTERS, claims_https
from relay.policy import Policy
from relay.verdict import PassReason, PassThrough

MAX_TEXT = 200
"""Characters of a link that are kept for people; a button or a headline is known by them."""


_NO_ATTRIBUTES: Mapping[str, str] = MappingProxyType({})


class Reference(NamedTuple):
    """A link as the mail has it."""

    href: str
    """Character references decoded, else as written."""
    text: str
    """What the reader sees of it; empty where that is an image."""
    attributes: Mapping[str, str] = _NO_ATTRIBUTES
    """Those that may say that it is not to be tracked; names in lower case."""
    utf8: bool = True
    """The document is UTF-8 or ASCII, so the URL Standard reads its queries as UTF-8."""


class Target(NamedTuple):
    """Where a tracked link leads."""

    url: str
    """Serialised, fragment included."""
    destination: bytes
    """What stands after the token in our URL and is signed: no scheme, no fragment."""
    https: bool
    fragment: str
    """With its `#`, or empty; it stays at the end of our URL, and the browser carries it over."""


@dataclass(frozen=True, slots=True)
class LinkRules:
    """What of policy and message decides about links."""

    policy: Policy
    base: str
    """Ours for this sender, serialised, with a final slash."""
    own_bases: tuple[str, ...]
    """All of ours, as `base`."""
    own_lower: tuple[str, ...]
    """The same in lower case."""
    unsubscribe: frozenset[str]
    """The URLs of List-Unsubscribe (RFC 2369 3.2), serialised."""


def make_link_rules(policy: Policy, base_url: str, unsubscribe: tuple[str, ...]) -> LinkRules:
    """Return the rules for the links of one message."""
    wanted = (_serialise(clean_href(url)) for url in unsubscribe)
    own_bases = tuple(_base(url) for url in policy.own_bases)
    return LinkRules(
        policy,
        _base(base_url),
        own_bases,
        tuple(base.lower() for base in own_bases),
        frozenset(url for url in wanted if url is not None),
    )


def own_hosts(rules: LinkRules) -> tuple[bytes, ...]:
    """Return the hosts of our URLs in lower case, with their ports; some stand twice."""
    return tuple(base.split("/")[2].encode() for base in rules.own_lower)


# URL Standard, URL parsing: controls and spaces around, tab and line ends within are removed.
_AROUND = "".join(map(chr, range(0x21)))
_WITHIN = str.maketrans("", "", "\t\n\r")


def clean_href(href: str) -> str:
    """Return an href without what the URL Standard takes away before it reads one."""
    if href.isprintable() and " " not in href:
        return href
    return href.strip(_AROUND).translate(_WITHIN)


_TOKEN = rf"[A-Za-z0-9_-]{{{TOKEN_CHARACTERS}}}"
_OWN_PIXEL = re.compile(rf"o/{_TOKEN}\.gif(?:[?#].*)?", re.DOTALL)
_OWN_LINK = re.compile(rf"c/({_TOKEN})/(.+)", re.DOTALL)


def is_own_pixel(src: str, rules: LinkRules) -> bool:
    """Tell whether an image is a pixel of ours, of whatever copy."""
    return _match_own(clean_href(src), _OWN_PIXEL, rules) is not None


def unwrap_own(href: str, rules: LinkRules) -> str | None:
    """Return the URL to which a link of ours leads, or None where it is none.

    A link that was wrapped again and again is unwrapped as often.  The token is not verified: what
    is under our base and has this form was made by us or pretends to, and leads nowhere else.
    """
    unwrapped: str | None = None
    current = clean_href(href)
    while match := _match_own(current, _OWN_LINK, rules):
        scheme = "https" if claims_https(match[1].encode()) else "http"
        unwrapped = current = f"{scheme}://{match[2]}"
    return unwrapped if unwrapped is None or _serialise(unwrapped) else None


def judge_link(reference: Reference, rules: LinkRules) -> Target | PassThrough:
    """Return where a tracked link leads, or why a link is left alone.

    Law: our base, a token, a slash and the destination are a URL that serialises to itself.
    """
    if not _PLAIN.fullmatch(reference.href):
        return _judge_any(reference, rules)
    if reference.attributes and _opted_out(reference.attributes):
        return PassThrough(PassReason.OPTED_OUT)
    return _judge_plain(reference.href, reference.text, rules)


def judge_plain(value: str, text: str, rules: LinkRules) -> Target | PassThrough | None:
    """Judge an attribute value that is a plain URL and none of ours; None where it is not.

    Law: then the destination is written as it is there, and judged as judge_link would judge it.
    """
    if not _PLAIN_VALUE.fullmatch(value):
        return None
    url = value.replace("&amp;", "&")
    return None if url.lower().startswith(rules.own_lower) else _judge_plain(url, text, rules)


def _judge_any(reference: Reference, rules: LinkRules) -> Target | PassThrough:
    href = clean_href(reference.href)
    reason = _why_as_written(href, reference)
    if reason:
        return PassThrough(reason)
    url = _serialise(href)
    if url is None:
        return PassThrough(PassReason.URL_NOT_CANONICAL, "no valid URL")
    reason = _why_by_url(url, rules) or _why_by_text(url, reference.text, rules)
    if reason:
        return PassThrough(reason)
    return _target(href, url, reference, rules)


def _judge_plain(url: str, text: str, rules: LinkRules) -> Target | PassThrough:
    """Judge what _PLAIN matches.

    Law: it is judged as _judge_any would, in a fifth of the time.
    """
    reason = _why_by_url(url, rules) or (_why_by_text(url, text, rules) if "." in text else None)
    if reason:
        return PassThrough(reason)
    head, hash_sign, fragment = url.partition("#")
    scheme, _, rest = head.partition("://")
    return Target(url, rest.encode("ascii"), scheme == "https", hash_sign + fragment)


def _plain_url(ampersand: str, quote: str) -> re.Pattern[str]:
    """Return the pattern of what most URLs are: they serialise to themselves, no placeholders.

    A domain whose last label is of letters is no IPv4 address, and without `xn--` it is what it
    is; no segment is a dot segment; no character is in a percent-encode set or would be another
    (URL Standard 1.3, 3.5, 4.4); and nothing is in the path that proxies refuse.
    """
    path = rf"(?:[\w!${quote}(-.:;=@~]++|%(?!00|7[BCbc])[0-9A-Fa-f]{{2}}|{ampersand})*+"
    query = rf"(?:[\w!$(-/:;=?@~]++|%(?!7[BCbc])[0-9A-Fa-f]{{2}}|{ampersand})*+"
    return re.compile(
        r"https?://(?:(?!xn--)[a-z0-9]++(?:-++[a-z0-9]++)*+\.)++[a-z]{2,63}+"
        rf"(?:/(?!\.|%2[Ee]){path})++(?:\?{query})?+"
        rf"(?:\#(?:[\w!${quote}(-/:;=?@~]++|{ampersand})*+)?+",
        re.ASCII,
    )


_PLAIN = _plain_url("&", "'")
_PLAIN_VALUE = _plain_url("&amp;", "")
"""The same as an attribute value, whatever quotes it stands in."""


# The templates of others: Handlebars and Jinja, Mailchimp, ERB, shell, and %NAME%, but neither
# percent-encoding nor JSON (`{%22`).  Editors encode braces of the first, bars of the second.
_PLACEHOLDER = re.compile(
    r"\{\{|%7b%7b|\{%(?![2-7][0-9a-f])|\*(?:\||%7c).*?(?:\||%7c)\*|<%|\$\{"
    r"|%(?![0-9a-f]{2})[a-z_][\w.-]*%|%[a-z_][\w.-]*%(?![0-9a-f]{2})",
    re.IGNORECASE,
)
_IN_PLACEHOLDERS = ("{", "*|", "%")  # quicker than the pattern
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):", re.IGNORECASE)
_NO_TRACK_SCHEMES = ("http+notrack", "https+notrack")  # Postal


def _why_as_written(href: str, reference: Reference) -> PassReason | None:
    if any(mark in href for mark in _IN_PLACEHOLDERS) and _PLACEHOLDER.search(href):
        return PassReason.PLACEHOLDER
    if reference.attributes and _opted_out(reference.attributes):
        return PassReason.OPTED_OUT
    return _why_by_scheme(href)


def _why_by_scheme(href: str) -> PassReason | None:
    scheme = _SCHEME.match(href)
    if scheme is None:
        return PassReason.RELATIVE
    name = scheme[1].lower()
    if name in _NO_TRACK_SCHEMES:
        return PassReason.OPTED_OUT
    if name not in ("http", "https"):
        return PassReason.OTHER_SCHEME
    # URL Standard, scheme state: without slashes it is relative under a base of its own scheme.
    return None if href.startswith("//", scheme.end()) else PassReason.RELATIVE


_ANY = None
_YES = ("true", "1", "yes", "on", "")
_NO = ("off", "false", "0", "no")
_OPT_OUTS: Mapping[str, tuple[str, ...] | None] = {
    "clicktracking": _NO,  # SendGrid
    "data-msys-clicktrack": _NO,  # SparkPost
    "ses:no-track": _ANY,  # Amazon SES, also seen ="" and ="true"
    "data-pm-no-track": _ANY,  # Postmark
    "disable-tracking": _YES,  # Mailgun
    "mc:disable-tracking": _ANY,  # Mandrill
    "mautic:disable-tracking": _ANY,
    "data-no-track": _ANY,  # ours, and Kannon's
    "data-disable-tracking": _YES,  # OneSignal
}
OPT_OUT_MARK = b"track"
"""Every attribute that opts out has this in its name."""
_MAILWIZZ_OPT_OUT = re.compile(r"[?&]disable-tracking=true(?![^&#])")


def _opted_out(attributes: Mapping[str, str]) -> bool:
    for name, value in attributes.items():
        values = _OPT_OUTS.get(name, ())
        if values is _ANY or value.strip().lower() in values:
            return True
    return False


# Signed or one-time: a scanner that follows our link first would use it up, and what is in it is
# a secret.  Amazon S3, Google Cloud Storage, Azure; CloudFront and older S3 take two parameters.
_SECRET = re.compile(r"[?&](?:x-amz-signature|x-goog-signature|sig|token|[a-z0-9]+[_-]token)=")
_SIGNATURE = re.compile(r"[?&]signature=")
_EXPIRES = re.compile(r"[?&]expires=")
_HOST = re.compile(r"https?://(?:[^/@]*@)?([^/:]*|\[[^/]*\])(?::\d+)?/")


def _why_by_url(url: str, rules: LinkRules) -> PassReason | None:
    if url.startswith(rules.own_bases):
        return PassReason.OWN_BASE
    if url in rules.unsubscribe:
        return PassReason.UNSUBSCRIBE
    if len(url) > rules.policy.max_url_length:
        return PassReason.URL_TOO_LONG
    if rules.policy.excluded_hosts and matches_domain(rules.policy.excluded_hosts, _host(url)):
        return PassReason.EXCLUDED_HOST
    return _why_by_query(url) if "?" in url else None


def _why_by_query(url: str) -> PassReason | None:
    query = url[url.index("?") :].lower()
    if not ("sig" in query or "track" in query or "token" in query):  # quicker than the patterns
        return None
    if _SECRET.search(query) or (_SIGNATURE.search(query) and _EXPIRES.search(query)):
        return PassReason.SIGNED_URL
    return PassReason.OPTED_OUT if _MAILWIZZ_OPT_OUT.search(query) else None


# Characters that are not seen, and those that enclose a URL in prose.
_UNSEEN = str.maketrans("", "", "\N{ZERO WIDTH SPACE}\N{SOFT HYPHEN}\N{WORD JOINER}\ufeff")
_ENCLOSING = " <>()[]{}\"'“”\u2018\u2019«»„.,;:!?"
_URL_TEXT = re.compile(r"(?:https?|ftp):[/\\]{2}|www\d?\.[^\s.]", re.IGNORECASE)
_DOMAIN_TEXT = re.compile(
    r"(?:[^\W_](?:[\w-]*[^\W_])?\.)+([^\W\d_]{2,}|xn--[a-z0-9-]+)(?::\d+)?(?:[/?#]\S*)?",
    re.IGNORECASE,
)
_GENERIC = frozenset(
    ("com", "net", "org", "edu", "gov", "mil", "int", "info", "biz", "app", "dev", "shop", "online")
)
_COUNTRY_LETTERS = 2
_NO_COUNTRY = ("js", "ts", "cs", "db")  # Node.js is a name; these are nobody's top-level domain


def _why_by_text(url: str, text: str, rules: LinkRules) -> PassReason | None:
    """Leave linked URLs alone: readers and spam filters compare them with where they lead."""
    if not rules.policy.skip_url_text or "." not in text:
        return None
    text = text.translate(_UNSEEN).strip(_ENCLOSING)
    if _URL_TEXT.match(text):
        return PassReason.TEXT_IS_URL
    match = _DOMAIN_TEXT.fullmatch(text)
    if match is None:
        return None
    last = match[1].lower()
    country = len(last) == _COUNTRY_LETTERS and last not in _NO_COUNTRY
    if country or last in _GENERIC or last.startswith("xn--"):
        return PassReason.TEXT_IS_URL
    host = _host(url)
    shown = _host(_serialise(f"http://{text}") or "")
    related = bool(shown) and (f".{host}".endswith(f".{shown}") or f".{shown}".endswith(f".{host}"))
    return PassReason.TEXT_IS_URL if related else None


_AUTHORITY = re.compile(r"https?:[/\\]+[^/\\?#]*([/\\]?)", re.IGNORECASE)
_BLANK_TOKEN = "A" * TOKEN_CHARACTERS
# What is serialised has no dot segments but where the host is one, and a path keeps all that the
# path and query of a URL keep: with a name for a host there is nothing to try.
_STABLE = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)+[:/?]")
# In the path of a request nginx answers 400 to both, Caddy (Go) to the first: our URL must pass
# proxies that the destination's own host may not have.
_REFUSED_BY_PROXIES = re.compile(r"%(?:00|(?![0-9A-Fa-f]{2}))")


def _target(href: str, url: str, reference: Reference, rules: LinkRules) -> Target | PassThrough:
    head, hash_sign, fragment = url.partition("#")
    scheme, _, rest = head.partition("://")
    authority = _AUTHORITY.match(href)
    if authority is not None and not authority[1]:
        # The serialisation has a slash after the host; the mail had none, and keeps none.
        rest = rest.replace("/", "", 1)
    if not reference.utf8 and not href.partition("#")[0].isascii() and "?" in rest:
        # URL Standard, query state: the bytes depend on the encoding of the document.
        return PassThrough(PassReason.URL_NOT_CANONICAL, "a query that is not UTF-8")
    ours = f"{rules.base}c/{_BLANK_TOKEN}/{rest}"
    if not _STABLE.match(rest) and _serialise(ours) != ours:
        return PassThrough(PassReason.URL_NOT_CANONICAL, "it changes within a path")
    if "%" in rest and _REFUSED_BY_PROXIES.search(rest.partition("?")[0]):
        return PassThrough(PassReason.URL_NOT_CANONICAL, "proxies refuse its path")
    return Target(url, rest.encode("ascii"), scheme == "https", hash_sign + fragment)


def _match_own(href: str, path: re.Pattern[str], rules: LinkRules) -> re.Match[str] | None:
    lower = href.lower()
    for base in rules.own_lower:
        if lower.startswith(base):
            return path.fullmatch(href, len(base))
    return None


_BASES = 256
"""Our own URLs that are remembered: they are asked for with every message, and are few."""


def _serialise(url: str) -> str | None:
    try:
        return normalize_url(url)
    except ValueError:
        return None


@lru_cache(_BASES)
def _base(base_url: str) -> str:
    return (_serialise(base_url) or base_url).rstrip("/") + "/"


def _host(url: str) -> str:
    match = _HOST.match(url)
    return match[1] if match else ""
