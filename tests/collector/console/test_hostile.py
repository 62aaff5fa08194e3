"""Whatever comes from outside is shown and never obeyed."""

from dataclasses import replace
from typing import Any

import pytest
from selectolax.lexbor import LexborHTMLParser

from collector.console import feed
from ledger.event import Agent, EventType

PAYLOADS = (
    "<script>alert(1)</script>",
    "</title><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)>",
    "<svg><animate onbegin=alert(1) attributeName=x dur=1s>",
    '"><script>alert(1)</script>',
    "'><script>alert(1)</script>",
    '" onmouseover="alert(1)',
    "' onfocus='alert(1)' autofocus='",
    "x onclick=alert(1)",
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "java\tscript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "vbscript:msgbox(1)",
    "https://a.example/\"onclick=alert(1) x='",
    "https://a.example/'><script>alert(1)</script>",
    "<a href=javascript:alert(1)>x</a>",
    "<iframe src=javascript:alert(1)></iframe>",
    "<iframe srcdoc='<script>alert(1)</script>'>",
    "<math><mtext><style><img src=x onerror=alert(1)></style>",
    "<!--><img src=x onerror=alert(1)>-->",
    "<![CDATA[<img src=x onerror=alert(1)>]]>",
    "<style>@import 'https://evil.example/x.css'</style>",
    "<meta http-equiv=refresh content='0;url=https://evil.example'>",
    "<base href=https://evil.example/>",
    "<form action=https://evil.example><button>Sign in</button></form>",
    "{{ 7 * 7 }}{% for x in ().__class__.__bases__ %}{% endfor %}",
    "hx-get=/logout hx-trigger=load",
    "<div hx-on:load=alert(1) hx-get=https://evil.example hx-trigger=load>",
    "\u202e\u2066<script>\u2069alert(1)\u2028",
    "&lt;script&gt;alert(1)&lt;/script&gt;<script",
)
OURS = {"/static/vendor/htmx.min.js", "/static/vendor/hx-sse.min.js", "/static/console.js"}


def check_harmless(page: str) -> None:
    tree = LexborHTMLParser(page)
    for node in tree.root.traverse():  # type: ignore[union-attr] # it has one
        for name, value in node.attributes.items():
            assert not name.startswith("on"), (name, value)
            if name in ("href", "src", "action") and value is not None:
                target = value.strip().lower()
                assert target.startswith(("/", "#", "http://", "https://")), target
        assert node.tag not in ("style", "base", "iframe", "object", "embed"), node.tag
        if node.tag == "script":
            assert node.attributes["src"] in OURS
            assert not node.text()
        if node.tag == "meta":
            assert "http-equiv" not in node.attributes


async def fill(console: Any, explain: Any, copy: Any, text: str) -> str:
    """Put a text into every field that comes from outside; return the send_id."""
    link = {"link_id": "1", "part": "1.2", "url": text, "text": text}
    verdict = explain(
        text,
        1,
        reasons=[{"of": "mode", "is": "individual", "because": "rule", "name": text}],
        parts=[{"part": "1", "media_type": text, "tracked": False, "reason": text}],
        links=[
            {**link, "tracked": True, "reason": None},
            {**link, "link_id": None, "tracked": False, "reason": text},
        ],
    )
    send_id: str = await console.send(
        [verdict],
        subject=text,
        sender=text,
        message_id=text,
        account=text,
        client=text,
        tags=[text],
        metadata={text: text},
    )
    same: dict[str, Any] = {"send_id": send_id, "subject": text, "recipient": None, "sender": None}
    same |= {"user_agent": text, "ip_address": text, "rules_version": text, "reasons": (text,)}
    shared = {"attribution": "shared", "candidates": (text, "b@example.org")}
    await console.record(
        console.event(EventType.ACCEPTED, **same),
        console.event(EventType.RELAYED, **same, reply=text, upstream=text),
        console.event(EventType.DEFERRED, **same, reply=text, upstream=text, **shared),
        console.event(EventType.FAILED, **same, reply=text, upstream=text, recipient_type="cc"),
        console.event(EventType.OPENED, **same, **shared),
        console.event(EventType.OPENED, **same, classification=Agent.SCANNER),
        console.event(EventType.CLICKED, **same, url=text, link_text=text, link_id="1", **shared),
        console.event(EventType.CLICKED, **same, url=text, link_text=None),
    )
    await console.capture(replace(copy, send_id=send_id))
    return send_id


async def test_hostile_text_is_shown_as_text(
    console: Any, explain: Any, captured_copy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "PAGE_EVENTS", 1000)
    pages = ["/", "/feed?seen=0", "/messages", "/captured"]
    shown_on: dict[str, tuple[str, ...]] = dict.fromkeys(pages, PAYLOADS)
    for number, payload in enumerate(PAYLOADS, 1):
        copy = captured_copy(
            number, "", ("to", payload), ("cc", payload), subject=payload, sender=payload
        )
        send_id = await fill(console, explain, copy, payload)
        shown_on[f"/messages/{send_id}"] = shown_on[f"/captured/{number}"] = (payload,)
    person = await console.signed_in()
    for path, payloads in shown_on.items():
        status, page, _ = await person.get(path)
        assert status == 200, path
        # A captured copy has one frame of its own.
        check_harmless(page.replace("<iframe src", "<i src", 1) if "/captured/" in path else page)
        body = LexborHTMLParser(page).body
        assert body is not None
        text = " ".join(body.text(deep=True).split())
        for payload in payloads:
            assert " ".join(payload.split())[:12] in text, (path, payload)


async def test_what_is_asked_for_is_not_repeated_as_markup(console: Any) -> None:
    person = await console.signed_in()
    for payload in PAYLOADS:
        for path in ("/nothing", "/messages/x"):
            _, page, _ = await person.get(path, params={"q": payload})
            check_harmless(page)
        _, page, _ = await person.get("/login", params={"code": payload, "next": payload})
        check_harmless(page)
