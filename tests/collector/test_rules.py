# ruff: noqa: E501 - a table, one line an agent, as it was seen
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector import rules
from collector.classify import classify, weigh_evidence
from collector.hit import Evidence, Scene, Trace
from collector.reasons import REASON_WORDS
from collector.rules import RULES
from ledger.event import Agent
from ledger.token import HitKind

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
OPEN, CLICK = HitKind.OPEN, HitKind.CLICK
LANGUAGE = {"accept": "present", "accept-language": "present"}
CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0"
GMAIL = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
PREFETCH = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/42.0.2311.135 Safari/537.36 Edge/12.246 Mozilla/5.0"
)
BARE_WEBKIT = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)"
)


def trace(agent: str, kind: HitKind = OPEN, **more: Any) -> Trace:
    return Trace(more.pop("at", AT), kind, more.pop("slot", 0), agent, **more)


# Agents of facts.md 3 (house of facts), each as it was seen.
CASES = [
    ("Gmail's image proxy", trace(GMAIL), Agent.PROXY, "gmail_image_proxy"),
    ("Gmail's prefetch", trace(PREFETCH), Agent.PREFETCH, "gmail_prefetch"),
    ("… from Google", trace(PREFETCH, lists=("google",)), Agent.PREFETCH, "gmail_network"),
    ("… with its Referer", trace(PREFETCH, headers={"referer": "mail.google.com"}), Agent.PREFETCH, "gmail_network"),
    ("Apple's prefetch", trace("Mozilla/5.0"), Agent.PREFETCH, "apple_mail_privacy"),
    ("bare WebKit", trace(BARE_WEBKIT), Agent.UNKNOWN, "webkit_mail"),
    ("bare WebKit with a language", trace(BARE_WEBKIT, headers=LANGUAGE), Agent.UNKNOWN, "webkit_mail"),
    ("Yahoo", trace("YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html"), Agent.PROXY, "yahoo_image_proxy"),
    ("Fastmail", trace("FastmailUA/1.0"), Agent.PROXY, "fastmail_image_proxy"),
    ("Shortwave", trace("Shortwave Image Fetcher"), Agent.PROXY, "shortwave_image_proxy"),
    ("Outlook for Windows", trace("Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.17328; Pro)"), Agent.HUMAN_LIKELY, "outlook_desktop"),
    ("older Outlook", trace("Mozilla/4.0 (compatible; ms-office; MSOffice 16)"), Agent.HUMAN_LIKELY, "outlook_desktop"),
    ("Thunderbird", trace("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Thunderbird/128.3.0", headers=LANGUAGE), Agent.HUMAN_LIKELY, "mail_program"),
    ("Office looking", trace("Microsoft Office Existence Discovery", CLICK), Agent.SCANNER, "office_probe"),
    ("Slack", trace("Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)", CLICK), Agent.UNFURL, "chat_preview"),
    ("Slack's images", trace("Slack-ImgProxy (+https://api.slack.com/robots)"), Agent.UNFURL, "chat_preview"),
    ("Teams", trace("Mozilla/5.0 (Windows NT 6.1; WOW64) SkypeUriPreview Preview/0.5", CLICK), Agent.UNFURL, "chat_preview"),
    ("Telegram", trace("TelegramBot (like TwitterBot)", CLICK), Agent.UNFURL, "chat_preview"),
    ("Discord", trace("Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)", CLICK), Agent.UNFURL, "chat_preview"),
    ("WhatsApp", trace("WhatsApp/2.23.20", CLICK), Agent.UNFURL, "chat_preview"),
    ("Facebook", trace("facebookexternalhit/1.1", CLICK), Agent.UNFURL, "chat_preview"),
    ("LinkedIn", trace("LinkedInBot/1.0 (compatible; Mozilla/5.0)", CLICK), Agent.UNFURL, "chat_preview"),
    ("a loop-back", trace("HubSpot Connect 2.0", CLICK), Agent.SCANNER, "webhook_loop"),
    ("Barracuda", trace("Barracuda Sentinel (EE)", CLICK), Agent.SCANNER, "link_scanner"),
    ("curl", trace("curl/8.5.0"), Agent.SCANNER, "http_tool"),
    ("requests", trace("python-requests/2.32"), Agent.SCANNER, "http_tool"),
    ("urllib", trace("Python-urllib/3.11"), Agent.SCANNER, "http_tool"),
    ("aiohttp", trace("Python/3.11 aiohttp/3.13"), Agent.SCANNER, "http_tool"),
    ("Java", trace("Java/17.0.1"), Agent.SCANNER, "http_tool"),
    ("a monitor", trace("Mozilla/5.0 (compatible; Uptime-Kuma/1.23)"), Agent.SCANNER, "http_tool"),
    ("headless Chrome", trace(CHROME.replace("Chrome/", "HeadlessChrome/"), headers=LANGUAGE), Agent.SCANNER, "headless_browser"),
    ("a listed crawler", trace("Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)"), Agent.SCANNER, "listed_crawler"),
    ("an image proxy on a click", trace(GMAIL, CLICK), Agent.SCANNER, "listed_crawler"),
    ("no agent", trace(""), Agent.UNKNOWN, "empty_agent"),
    ("no agent, from a gateway", trace("", CLICK, lists=("microsoft_mail",)), Agent.SCANNER, "mail_gateway"),
    ("Chrome's click", trace(CHROME, CLICK, headers={**LANGUAGE, "sec-fetch-dest": "document"}), Agent.HUMAN_LIKELY, "fetch_metadata"),
    ("Chrome's image", trace(CHROME, headers={**LANGUAGE, "sec-fetch-dest": "image"}), Agent.HUMAN_LIKELY, "fetch_metadata"),
    ("Firefox", trace(FIREFOX, CLICK, headers=LANGUAGE), Agent.HUMAN_LIKELY, "language"),
    ("Firefox without a language", trace(FIREFOX, CLICK), Agent.SCANNER, "language_missing"),
    ("Chrome that says nothing", trace(CHROME, CLICK), Agent.SCANNER, "fetch_metadata_missing"),
    ("Chrome of 2017", trace(CHROME.replace("131", "57"), CLICK), Agent.SCANNER, "old_browser"),
    ("MSIE 8", trace("Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 6.1; Trident/4.0)", CLICK), Agent.UNKNOWN, "old_browser"),
    ("a phone named Cubot", trace("Mozilla/5.0 (Linux; Android 9; CUBOT X19) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0 Mobile Safari/537.36", CLICK, headers={**LANGUAGE, "sec-fetch-dest": "document"}), Agent.HUMAN_LIKELY, "browser_agent"),
    ("a browser ahead of its reader", trace(CHROME, CLICK, headers={**LANGUAGE, "sec-fetch-dest": "document", "sec-purpose": "prefetch;prerender"}), Agent.PREFETCH, "browser_prefetch"),
    ("an old prefetch header", trace(CHROME, CLICK, headers={**LANGUAGE, "x-moz": "prefetch"}), Agent.UNFURL, "preview_header"),
    ("a preview by Purpose", trace(CHROME, CLICK, headers={**LANGUAGE, "purpose": "preview"}), Agent.UNFURL, "preview_header"),
    ("the own network", trace(CHROME, headers={**LANGUAGE, "sec-fetch-dest": "image"}, lists=("own",)), Agent.SELF, "own_network"),
    ("the own network's curl", trace("curl/8", lists=("own",)), Agent.SELF, "own_network"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("hit", "agent", "reason"), [case[1:] for case in CASES], ids=[c[0] for c in CASES]
)
def test_an_agent_is_taken_for_what_it_is(hit: Trace, agent: Agent, reason: str) -> None:
    judged = classify(Scene(hit))
    assert (judged.agent, reason in judged.reasons) == (agent, True), judged


def click(slot: int, after_s: float, agent: str = FIREFOX, **more: Any) -> Trace:
    at = AT + timedelta(seconds=after_s)
    return trace(
        agent, CLICK, slot=slot, at=at, headers=LANGUAGE, network=more.pop("network", "n"), **more
    )


@pytest.mark.parametrize(
    ("others", "readers", "swept"),
    [
        ([(1, -1), (2, -0.5)], 1, True),
        ([(1, 0.5), (2, 1)], 1, True),  # what came after, where it is known
        ([(1, -6), (2, 6)], 1, False),  # not within any ten seconds
        ([(1, -10), (2, -5)], 1, True),
        ([(1, -10.1), (2, -5)], 1, False),
        ([(0, -1), (0, -0.5), (1, 2)], 1, False),  # two links
        ([(1, -1), (2, -0.5)], 5, True),
        ([], 1, False),
    ],
)
def test_three_links_within_ten_seconds_are_a_sweep(
    others: list[tuple[int, float]],
    readers: int,
    swept: bool,
) -> None:
    scene = Scene(click(0, 0), tuple(click(slot, s) for slot, s in others), readers)
    judged = classify(scene)
    assert ("sweep" in judged.reasons) is swept
    assert (judged.agent is Agent.SCANNER) is swept


def test_of_a_shared_copy_several_people_in_several_networks_are_no_sweep() -> None:
    others = (click(1, -1, network="m"), click(2, -2, network="o"))
    assert "sweep" not in classify(Scene(click(0, 0), others, readers=3)).reasons
    assert "sweep" in classify(Scene(click(0, 0), others, readers=1)).reasons


def test_opens_are_no_part_of_a_sweep() -> None:
    others = (trace(FIREFOX, at=AT), click(1, 0), click(2, 0))
    assert "sweep" not in classify(Scene(trace(FIREFOX), others)).reasons


def test_a_sweep_from_the_own_network_is_a_scanner_and_not_self() -> None:
    others = (click(1, -1, lists=("own",)), click(2, -2, lists=("own",)))
    judged = classify(Scene(click(0, 0, lists=("own",)), others))
    assert judged.agent is Agent.SCANNER


def test_five_links_weigh_more_than_three() -> None:
    five = classify(Scene(click(0, 0), tuple(click(slot, 0) for slot in range(1, 5))))
    three = classify(Scene(click(0, 0), tuple(click(slot, 0) for slot in range(1, 3))))
    assert five.confidence > three.confidence


def test_every_reason_has_words() -> None:
    told: set[str] = set()
    for hit in [case[1] for case in CASES]:
        told |= set(classify(Scene(hit)).reasons)
    assert told <= set(REASON_WORDS)
    assert {rule.__name__ for rule in RULES} - {"known_agent"} <= set(REASON_WORDS)
    words: Mapping[str, str] = REASON_WORDS
    assert all(words.values())


PERSON = {**LANGUAGE, "sec-fetch-dest": "document"}
SWEEP = tuple(trace(FIREFOX, CLICK, slot=slot, network="n") for slot in (1, 2))
LISTED = "listed:scanner:guard:2026-11-01"


def one(agent: str, kind: HitKind = OPEN, **more: Any) -> Scene:
    return Scene(trace(agent, kind, **more))


# Each rule alone: a scene, what it speaks for there, and its weight (None: silent).
TABLES: dict[str, list[tuple[Scene, tuple[Agent, float] | None]]] = {
    "own_network": [
        (one(CHROME, lists=("own",)), (Agent.SELF, 0.99)),
        (one("curl/8", lists=("own",)), (Agent.SELF, 0.99)),
        (one(CHROME, lists=("google",)), None),
        (Scene(trace(FIREFOX, CLICK, lists=("own",), network="n"), SWEEP), None),
    ],
    "own_browser": [
        (one(CHROME, signs=("own_browser",)), (Agent.SELF, 0.99)),
        (one(CHROME, signs=("looked_first",)), None),
        (Scene(trace(FIREFOX, CLICK, signs=("own_browser",), network="n"), SWEEP), None),
    ],
    "known_agent": [
        (one(GMAIL), (Agent.PROXY, 0.9)),
        (one(BARE_WEBKIT), (Agent.PREFETCH, 0.45)),
        (one("curl/8", CLICK), (Agent.SCANNER, 0.9)),
        (one(GMAIL, CLICK), None),
        (one(CHROME), None),
    ],
    "gmail_network": [
        (one(GMAIL, lists=("google",)), (Agent.PROXY, 0.4)),
        (one(PREFETCH, headers={"referer": "mail.google.com"}), (Agent.PREFETCH, 0.4)),
        (one(GMAIL), None),
        (one(CHROME, lists=("google",)), None),
        (one("FastmailUA/1.0", lists=("google",)), None),
    ],
    "listed_crawler": [
        (one("Mozilla/5.0 (compatible; bingbot/2.0)"), (Agent.SCANNER, 0.85)),
        (one("curl/8"), None),  # an entry of ours speaks
        (one(CHROME), None),
        (one(""), None),
    ],
    "browser_prefetch": [
        (one(CHROME, CLICK, headers={"sec-purpose": "prefetch;prerender"}), (Agent.PREFETCH, 0.95)),
        (one(CHROME, CLICK, headers={"sec-purpose": "other"}), None),
        (one(CHROME, CLICK, headers={"purpose": "prefetch"}), None),
    ],
    "preview_header": [
        (one(CHROME, headers={"purpose": "preview"}), (Agent.UNFURL, 0.9)),
        (one(CHROME, headers={"x-purpose": "Preview"}), (Agent.UNFURL, 0.9)),
        (one(CHROME, headers={"x-moz": "prefetch"}), (Agent.UNFURL, 0.9)),
        (one(CHROME, headers={"purpose": "reading"}), None),
        (one(CHROME), None),
    ],
    "empty_agent": [
        (one(""), (Agent.SCANNER, 0.4)),
        (one("x"), None),
    ],
    "old_browser": [
        (one(CHROME.replace("131", "57")), (Agent.SCANNER, 0.45)),
        (one(CHROME.replace("131", "69")), (Agent.SCANNER, 0.45)),
        (one(CHROME.replace("131", "70")), None),
        (one("Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 6.1)"), (Agent.SCANNER, 0.45)),
        (one("Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 10.0; ms-office; MSOffice 16)"), None),
        (one(PREFETCH), None),  # Chrome/42 of Gmail's
        (one(FIREFOX), None),
    ],
    "browser_agent": [
        (one(CHROME), (Agent.HUMAN_LIKELY, 0.45)),
        (
            one(f"{BARE_WEBKIT.replace('Macintosh', 'iPhone')} Mobile/15E148"),
            (Agent.HUMAN_LIKELY, 0.45),
        ),
        (one(BARE_WEBKIT), None),
        (one("Mozilla/5.0"), None),
        (one("Mozilla/5.0 (compatible; bingbot/2.0) Chrome/131.0"), None),
    ],
    "fetch_metadata": [
        (one(CHROME, headers={"sec-fetch-dest": "image"}), (Agent.HUMAN_LIKELY, 0.45)),
        (one(CHROME, CLICK, headers=PERSON), (Agent.HUMAN_LIKELY, 0.45)),
        (one(CHROME, headers=PERSON), None),
        (one("curl/8", CLICK, headers=PERSON), None),
        (one(CHROME), None),
    ],
    "fetch_metadata_missing": [
        (one(CHROME.replace("131", "80")), (Agent.SCANNER, 0.35)),
        (one(CHROME.replace("131", "79")), None),
        (one(FIREFOX.replace("133", "90")), (Agent.SCANNER, 0.35)),
        (one(FIREFOX.replace("133", "89")), None),
        (one(CHROME, CLICK, headers=PERSON), None),
        (one("curl/8"), None),
    ],
    "fetch_metadata_contradicts": [
        (one(CHROME, headers={"sec-fetch-dest": "document"}), (Agent.SCANNER, 0.45)),
        (one(CHROME, headers={"sec-fetch-dest": "empty"}), (Agent.SCANNER, 0.45)),
        (one(CHROME, CLICK, headers={"sec-fetch-dest": "image"}), (Agent.SCANNER, 0.45)),
        (one(CHROME, CLICK, headers=PERSON), None),
        (one(CHROME, headers={"sec-fetch-dest": "image"}), None),
        (one(CHROME), None),
    ],
    "accept_missing": [
        (one(CHROME), (Agent.SCANNER, 0.35)),
        (one(CHROME, headers=LANGUAGE), None),
        (one("curl/8"), None),
    ],
    "language": [
        (one("Strange/1", headers=LANGUAGE), (Agent.HUMAN_LIKELY, 0.3)),
        (one(CHROME, headers={"accept": "present"}), None),
    ],
    "language_missing": [
        (one(CHROME, headers={"accept": "present"}), (Agent.SCANNER, 0.3)),
        (one(CHROME, headers=LANGUAGE), None),
        (one(GMAIL), None),
    ],
    "published_range": [
        (one(CHROME, lists=(LISTED,)), (Agent.SCANNER, 0.45)),
        (one(CHROME, lists=("own", LISTED.replace("scanner", "unfurl"))), (Agent.UNFURL, 0.45)),
        (one(CHROME, lists=("google", "own")), None),
        (one(CHROME), None),
    ],
    "mail_gateway": [
        (one(CHROME, lists=("microsoft_mail",)), (Agent.SCANNER, 0.45)),
        (one(CHROME, lists=("google",)), None),
    ],
    "mx_gateway": [
        (one(CHROME, gateway="mimecast"), (Agent.SCANNER, 0.09)),
        (one("", CLICK, gateway="cisco"), (Agent.SCANNER, 0.09)),
        (one(CHROME, lists=("microsoft_mail",)), None),
    ],
}  # fmt: skip


def test_each_rule_has_its_table() -> None:
    here = {rule.__name__ for rule in RULES if rule.__module__ == rules.__name__}
    assert set(TABLES) == here
    assert all({said is None for _, said in rows} == {True, False} for rows in TABLES.values())


@pytest.mark.parametrize(
    ("name", "scene", "said"), [(name, *row) for name, rows in TABLES.items() for row in rows]
)
def test_a_rule_speaks_where_it_should(
    name: str, scene: Scene, said: tuple[Agent, float] | None
) -> None:
    found = getattr(rules, name)(scene)
    assert (found and (found.agent, found.weight)) == said


def test_what_a_published_range_says_names_its_file_and_day() -> None:
    found = rules.published_range(one(CHROME, lists=(LISTED,)))
    assert found is not None
    assert found.detail == "guard of 2026-11-01"


def test_what_a_gateway_says_names_it() -> None:
    found = rules.mx_gateway(one(CHROME, gateway="mimecast"))
    assert found is not None
    assert found.detail == "mimecast"


headers = st.dictionaries(
    st.sampled_from(["accept", "accept-language", "sec-fetch-dest", "sec-purpose", "purpose"]),
    st.sampled_from(["present", "document", "image", "prefetch"]),
)
traces = st.builds(
    trace,
    st.sampled_from(["", "curl/8", "Strange/1", *(case[1].agent for case in CASES)]),
    st.sampled_from([OPEN, CLICK]),
    headers=headers,
    lists=st.lists(st.sampled_from(["own", "google", "microsoft_mail", LISTED])).map(tuple),
    slot=st.integers(0, 3),
)
scenes = st.builds(Scene, traces, st.lists(traces, max_size=3).map(tuple))


@given(scenes)
def test_law_a_gateway_decides_nothing_without_two_other_signs_of_a_scanner(scene: Scene) -> None:
    """Law: the gateway of a recipient changes no label where no two other signs of a scanner are."""
    found = [rule(scene) for rule in RULES]
    others = [one.weight for one in found if one is not None and one.agent is Agent.SCANNER]
    known = replace(scene, hit=replace(scene.hit, gateway="mimecast"))
    judged, before = classify(known), classify(scene)
    assert "mx_gateway" in judged.reasons
    if len(others) < 2:
        assert judged.agent is before.agent


def test_beside_two_other_signs_a_gateway_may_turn_the_scale() -> None:
    signs = [Evidence("a", Agent.SCANNER, 0.3), Evidence("b", Agent.SCANNER, 0.25)]
    prior = rules.mx_gateway(one("Thing/1", gateway="mimecast"))
    assert prior is not None
    assert weigh_evidence(signs).agent is Agent.UNKNOWN
    assert weigh_evidence([*signs, prior]).agent is Agent.SCANNER
