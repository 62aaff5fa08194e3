"""Whether a tracked link leads where the link in the mail led, for as many URLs as one likes.

    .venv/bin/python tests/links/round_trip.py COUNT [--seed 1] [--hrefs]

Each URL is written into an href, read by Lexbor (every 50th document by html5lib, too), judged,
tracked and written again by the relay's code, read again, asked for as a browser asks (the URL
Standard by ada-url), answered by the collector's code, and compared with what the first reading
leads to.  `--hrefs` prints the hrefs as JSON, as they stand in HTML, and does nothing else.
"""

import argparse
import json
import random
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import html5lib
from ada_url import URL, normalize_url
from selectolax.lexbor import LexborHTMLParser

from collector.answer import answer_click
from collector.target import Asked, read_target
from ledger.token import HitKind, Token, TokenKey, read_token, write_token
from relay.link import LinkRules, Reference, Target, judge_link, make_link_rules
from relay.mark import escape_value
from relay.mime.charref import decode_attribute
from relay.policy import Policy

KEY = TokenKey(1, bytes(range(32)))
BASES = ("https://t.example.com", "http://127.0.0.1:8025", "http://[::1]:81", "https://t.example")
BATCH = 100

_HOSTS = (
    "shop.example", "SHOP.Example", "a.b.c.shop.example", "xn--mller-kva.example",
    "müller.example", "例え.example", "faß.example", "shop.example.", "localhost", "127.0.0.1",
    "0x7f.1", "2130706433", "[::1]", "[2001:db8::1]", "[::ffff:192.0.2.1]", "ex%61mple.example",
    "under_score.example", "a-.example", "☃.example", "İ.example", "shop。example", "..", ".",
    "%2e%2e", "1.2.3.4.5", "t.example.org", "a..b",
)  # fmt: skip
_SCHEMES = ("https://",) * 30 + ("http://",) * 20 + (
    "HTTPS://", "hTtp://", "https:///", "http:////", "https:\\\\", "http:/\\", "https:/", "http:",
)  # fmt: skip
_USERS = ("",) * 9 + (
    "u@",
    "u:p@",
    ":p@",
    "@",
    "u:@",
    "a%40b:c@",
    "ü:ß@",
    "u;x=1:p&q@",
    "a@b@",
    "u b@",
)
_PORTS = ("",) * 20 + (":80", ":443", ":8080", ":0", ":65535", ":65536", ":", ":08", ":8a")
_SEGMENTS = (
    "a", "offer",
    "b%20c", "%2F", "%2f", "%zz", "%", "%4", "..", ".", "%2e", "%2E%2e", ".%2e", "", "", "c d",
    "straße", "日本", "\U0001f600", "x;p=1", "x=1", "a:b", "a@b", "it's", 'say"', "<t>", "`",
    "{a}", "|", "^", "[x]", "~u", "a+b", "a,b", "*", "$", "!", "(c)", "&amp;", "a&b", "\\",
    "a\\..\\b", "c", "o", "http:", "https://x.example", "%C3%A9", "%c3", "%00", "%0d%0a",
    "index.html", "...", "\u00a0", "\u200b", "e\u0301",
)  # fmt: skip
_QUERY = (
    *_SEGMENTS, "a=1&b=2", "a=1&copy=2", "q=%zz", "u=https://y.example/?z#", "?", "??", "a[]=1",
    "=", "&&", "utm_source=x&amp;y", "q=ä", "'", "+", "%23", "a=b;c",
)  # fmt: skip
_ENDS = ("",) * 6 + (
    "#",
    "#top",
    "#a b",
    "#é",
    "#'\"<>`",
    "#/c/x",
    "#%zz",
    "#a&amp;b",
    "##",
    "#?a=1",
    "#{x}",
)
_WITHIN = ("\t", "\n", "\r\n")
_AROUND = (" ", "\n ", "\t", "\x0c", "  ")


def make_url(dice: random.Random) -> str:
    """Return what stands in an href, references decoded."""
    slashes = dice.choice(("/",) * 6 + ("//", "\\"))
    segments = (dice.choice(_SEGMENTS) for _ in range(dice.choice((0, 1, 1, 2, 3, 6))))
    path = "".join(slashes + segment for segment in segments)
    query = ""
    if dice.random() < 0.5:
        query = "?" + "&".join(dice.choice(_QUERY) for _ in range(dice.choice((0, 1, 1, 2, 4))))
    if dice.random() < 0.02:
        query += "?" + dice.choice("xä%&") * dice.randrange(200, 1200)
    authority = dice.choice(_USERS) + dice.choice(_HOSTS) + dice.choice(_PORTS)
    url = dice.choice(_SCHEMES) + authority + path + query + dice.choice(_ENDS)
    for chance, bits in ((0.05, _WITHIN), (0.03, ("".join(map(chr, range(0x21, 0x7F))),))):
        if dice.random() < chance:
            at = dice.randrange(len(url) + 1)
            url = url[:at] + dice.choice(dice.choice(bits)) + url[at:]
    return dice.choice(_AROUND) + url + dice.choice(_AROUND) if dice.random() < 0.05 else url


def write_href(url: str, dice: random.Random) -> tuple[str, str]:
    """Return a URL as it may stand in an attribute value, and the quotes around it."""
    quote = dice.choice(('"', '"', '"', "'", ""))
    written = []
    for character in url:
        unsafe = character == quote or (not quote and character in " \t\n\r\f\"'=<>`")
        if character == "&" and dice.random() < 0.8:
            written.append("&amp;")
        elif unsafe or dice.random() < 0.01:
            written.append(dice.choice((f"&#{ord(character)};", f"&#x{ord(character):X};")))
        else:
            written.append(character)
    return "".join(written), quote


@dataclass(frozen=True, slots=True)
class Written:
    """A link in HTML, and what is to be its tracked form."""

    href: str
    quote: str
    rules: LinkRules
    target: Target | None
    """None where it is left alone."""
    reason: str = ""

    def tracked(self) -> str:
        """Return the href of its copy."""
        assert self.target is not None
        token = Token(HitKind.CLICK, KEY.key_id, 1 << 60, 7, https=self.target.https)
        after = f"/{self.target.destination.decode('ascii')}{self.target.fragment}"
        written = write_token(KEY, token, self.target.destination)
        return (escape_value(f"{self.rules.base}c/") + written + escape_value(after)).decode()


def links(count: int, seed: int) -> Iterator[Written]:
    """Yield links, always the same for a seed."""
    dice = random.Random(seed)
    policies = [make_link_rules(Policy("relay.example", base), base, ()) for base in BASES]
    for number in range(count):
        href, quote = write_href(make_url(dice), dice)
        rules = policies[number % len(policies)]
        judged = judge_link(Reference(decode_attribute(href), "words"), rules)
        if isinstance(judged, Target):
            yield Written(href, quote, rules, judged)
        else:
            yield Written(href, quote, rules, None, str(judged.reason))


def _document(hrefs: Sequence[tuple[str, str]]) -> str:
    return "".join(f"<a href={quote}{href}{quote}>x</a>\n" for href, quote in hrefs)


def _read(document: str, *, slowly: bool) -> list[str]:
    """Return the values of the hrefs, in order."""
    anchors = LexborHTMLParser(document).css("a")
    values = [anchor.attributes["href"] or "" for anchor in anchors]
    if slowly:
        tree = html5lib.parse(document, namespaceHTMLElements=False)
        others = [anchor.get("href") or "" for anchor in tree.iter("a")]
        assert [_unbroken(each) for each in others] == [_unbroken(each) for each in values]
    return values


def _unbroken(value: str) -> str:
    return value.replace("\r\n", "\n")  # Lexbor leaves line ends to who reads the stream


def follow(href: str) -> str | None:
    """Return where a browser ends that follows an href of ours; None at a page that says no."""
    ours = URL(href)
    # Not pathname and search: an empty query has its question mark in the target, not in search.
    asked = read_target(ours.href.partition("#")[0].removeprefix(ours.origin))
    if not isinstance(asked, Asked) or asked.kind is not HitKind.CLICK:
        return None
    token = read_token({KEY.key_id: KEY}, HitKind.CLICK, asked.token, asked.destination)
    if token is None:
        return None
    scheme = "https" if token.https else "http"
    answer = answer_click(f"{scheme}://{asked.destination.decode('latin-1')}")
    location = answer.headers.get("Location")
    # URL Standard and Fetch, HTTP-redirect fetch: a location without a fragment keeps the old one.
    _, mark, fragment = ours.href.partition("#")
    return None if location is None else location + mark + fragment


def compare(batch: Sequence[Written], *, slowly: bool) -> list[str]:
    """Return the links of a batch that lead elsewhere."""
    tracked = [link for link in batch if link.target is not None]
    before = _read(_document([(link.href, link.quote) for link in tracked]), slowly=slowly)
    after = _read(_document([(link.tracked(), link.quote) for link in tracked]), slowly=slowly)
    assert len(before) == len(after) == len(tracked), "a value has ended early"
    wrong = []
    for was, now in zip(before, after, strict=True):
        wanted = normalize_url(was)
        if follow(now) != wanted:
            wrong.append(f"{was!r} leads to {follow(now)!r}, tracked as {now!r}")
    return wrong


def main() -> int:
    words = argparse.ArgumentParser()
    words.add_argument("count", type=int)
    words.add_argument("--seed", type=int, default=1)
    words.add_argument("--hrefs", action="store_true")
    said = words.parse_args()
    if said.hrefs:
        found = links(said.count * 20, said.seed)
        tracked = [[link.href, link.quote] for link in found if link.target is not None]
        sys.stdout.write(json.dumps(tracked[: said.count]))
        return 0
    counts: Counter[str] = Counter()
    wrong: list[str] = []
    batch: list[Written] = []
    for number, link in enumerate(links(said.count, said.seed), 1):
        counts[link.reason or "tracked"] += 1
        batch.append(link)
        if len(batch) == BATCH or number == said.count:
            wrong += compare(batch, slowly=number // BATCH % 50 == 0)
            batch.clear()
    told = {"urls": said.count, "seed": said.seed, "differ": len(wrong), **counts}
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stderr.writelines(f"{line}\n" for line in wrong[:20])
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
