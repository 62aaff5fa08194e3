"""What must hold of any input, checked on the way from parse_entity to stamp_copy."""

import base64
import importlib.util
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

from ada_url import normalize_url

from ledger.address import parse_address
from ledger.mode import TrackingMode
from ledger.token import TokenKey
from relay.compile import compile_template
from relay.judge import judge
from relay.link import clean_href
from relay.mail import Client, Copy, Entity, Envelope, Submission
from relay.mark import escape_value
from relay.mime.charref import decode_attribute
from relay.mime.encoding import Decoded, decode_body
from relay.mime.entity import parse_entity, walk_entities
from relay.policy import Policy, Rule
from relay.split import split_copies
from relay.stamp import stamp_copy
from relay.template import Layout, Link, Slot, Span, Template
from relay.verdict import PassReason, Refuse

KEY = TokenKey(1, bytes(range(32)))
_POLICY = Policy(
    "relay.example.com",
    "https://t.example",
    unknown_consent=TrackingMode.INDIVIDUAL,
    excluded_hosts=("excluded.example",),
    rules=(
        Rule("opens only", recipient="opens@example.org", clicks=False),
        Rule("clicks only", recipient="clicks@example.org", opens=False),
        Rule("nothing", recipient="off@example.org", mode=TrackingMode.OFF),
    ),
)
_POLICIES = (_POLICY, replace(_POLICY, text_clicks=True))
"""The independent checker knows no links in text: it looks at even numbers only."""
_ENVELOPES = tuple(
    Envelope(parse_address("ann@sales.example"), tuple(map(parse_address, recipients)))
    for recipients in (
        ("b@example.org",),
        ("b@example.org",),
        ("opens@example.org",),
        ("clicks@example.org", "off@example.org"),
        ("b@example.org", "opens@example.org", "c@example.org"),
    )
)
_RECEIVED_AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
_CLIENT = Client("192.0.2.1", "pc.example")
# Of a token's 36 characters the first 12 are its key and copy.
_MARK = (
    rb'<img src="https://t\.example/o/%s[\w-]{24}\.gif" width="1" height="1" alt="">(?:\r\n\Z)?'
    rb"|https://t\.example/c/(%s[\w-]{24})/"
)

Check = Callable[[bytes, bytes], list[str]]


@dataclass(frozen=True, slots=True)
class _Written:
    """A link as it stands in the copy."""

    url: str
    tail: bytes
    """What follows the token and its slash."""
    html: bool


def _written(link: Link, *, html: bool) -> _Written:
    _, mark, fragment = link.url.partition("#")
    tail = link.destination.decode("ascii") + mark + fragment
    return _Written(link.url, escape_value(tail) if html else tail.encode(), html)


class Violation(Exception):  # noqa: N818 - that is what the laws call it
    """Something that must hold does not."""


def watch(raw: bytes, number: int, counts: Counter[str], second_opinion: Check | None) -> None:
    """Take an input the whole way; raise Violation, or whatever is raised, where a law breaks."""
    entity = parse_entity(raw)
    _offsets_are_in_order(entity)
    envelope = _ENVELOPES[number % len(_ENVELOPES)]
    send_id = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
    submission = Submission(send_id, envelope, raw, _RECEIVED_AT, _CLIENT)
    policy = _POLICIES[number % 2]
    verdict = judge(submission, entity, policy)
    if isinstance(verdict, Refuse):
        counts["refused"] += 1
        return
    template = compile_template(submission, entity, verdict, policy)
    counts[str(template.passed.reason) if template.passed else "instrumented"] += 1
    for note in template.parts:
        if note.reason is not None and template.passed is None:
            counts[f"part {note.reason.reason}"] += 1
    _hold(
        template.passed is None or template.passed.reason is not PassReason.OUR_FAULT,
        template.passed,
    )
    copies = split_copies(send_id, verdict, template, KEY.key_id, count(number + 1))
    out = [each.address for copy in copies for each in copy.recipients]
    _hold(sorted(map(str, out)) == sorted(map(str, envelope.recipients)), "recipients")
    for copy in copies:
        wire = stamp_copy(template, copy, KEY)
        _hold(wire.endswith(b"\r\n") and b"\r\n.\r\n" not in wire, "it would end early")
        stamped = re.sub(rb"(?m)^\.", b"", wire)
        _look_at_copy(raw, entity, template, (copy, stamped))
        if second_opinion is not None:
            counts["second opinions"] += 1
            _hold(not (said := second_opinion(raw, stamped)), said)
    if template.layouts:
        counts["links"] += len(template.links)


def _hold(law: object, what: object) -> None:
    if not law:
        raise Violation(str(what)[:500])


def _offsets_are_in_order(entity: Entity) -> None:
    position = entity.body
    _hold(entity.start <= entity.body <= entity.end, "offsets")
    for child in entity.children:
        _hold(position <= child.start and child.end <= entity.end, "offsets of a child")
        position = child.end
        _offsets_are_in_order(child)


def _look_at_copy(
    raw: bytes, entity: Entity, template: Template, copied: tuple[Copy, bytes]
) -> None:
    copy, stamped = copied
    after = parse_entity(stamped)
    layout = None if copy.layout is None else template.layouts[copy.layout]
    if layout is None:
        _hold(stamped[after.body :] == raw[entity.body :], "untracked, and not the original")
        return
    _hold(_given_back(template, layout) == template.original, "slots given back")
    _hold(_tree(entity) == _tree(after), "the tree of parts changed")
    prefix = base64.urlsafe_b64encode(bytes((copy.key_id,)) + copy.copy_id.to_bytes(8, "big"))
    mark = re.compile(_MARK % (prefix, prefix), re.ASCII)
    slots = [segment for segment in layout.segments if isinstance(segment, Slot)]
    pixels = found = 0
    for before, now in zip(walk_entities(entity), walk_entities(after), strict=True):
        _hold(
            before.path == "1" or raw[before.start : before.body] == stamped[now.start : now.body],
            "a part's header changed",
        )
        if before.children or raw[before.body : before.end] == stamped[now.body : now.end]:
            continue
        old, new = decode_body(raw, before), decode_body(stamped, now)
        _hold(isinstance(old, Decoded) and isinstance(new, Decoded), "a copy that does not decode")
        assert isinstance(old, Decoded)
        assert isinstance(new, Decoded)
        marks = list(mark.finditer(new.text))
        found += len(marks)
        pixels += sum(not each[1] for each in marks)
        if b"t.example" not in old.text:
            html = before.media_type == "text/html"
            links = {link.number: _written(link, html=html) for link in template.links}
            _undo(old, new.text, marks, links)
    _hold(found == len(slots), f"{found} marks in {len(slots)} slots")
    _hold(pixels == layout.opens or not any(slot.number == 0 for slot in slots), "pixels")


def _tree(entity: Entity) -> list[tuple[object, ...]]:
    return [
        (each.path, each.media_type, each.encoding, each.charset, each.disposition, each.opaque)
        for each in walk_entities(entity)
    ]


def _given_back(template: Template, layout: Layout) -> bytes:
    wire, position = b"", 0
    for segment in layout.segments:
        if isinstance(segment, Span):
            wire += template.original[position : segment.end]
            position = segment.end
    return wire + template.original[position:]


def _undo(
    decoded: Decoded, new: bytes, marks: list[re.Match[bytes]], links: Mapping[int, _Written]
) -> None:
    """Between the marks stands what stood there, and each link leads where it led."""
    old = decoded.text
    at, position = 0, 0
    for index, found in enumerate(marks):
        between = new[position : found.start()]
        _hold(old.startswith(between, at), f"{between[-80:]!r} was {old[at : at + 80]!r}")
        at += len(between)
        position = found.end()
        if found[1]:
            link = links[int.from_bytes(base64.urlsafe_b64decode(found[1])[9:11], "big") >> 4]
            _hold(new.startswith(link.tail, position), f"{new[position:][:200]!r} is not {link}")
            position += len(link.tail)
            following = marks[index + 1].start() if index + 1 < len(marks) else len(new)
            at = _skip_href(decoded, at, new[position:following], link)
    _hold(old[at:] == new[position:], f"{old[at : at + 80]!r} became {new[position:][:80]!r}")


def _skip_href(decoded: Decoded, at: int, following: bytes, link: _Written) -> int:
    """Return where the href at `at` ends: at the first place that leads to the link's URL."""
    for end in _ends(decoded.text, at, following):
        href = decoded.decode(at, end)
        # In text a URL may be broken over lines, and a reference is none.
        href = decode_attribute(href) if link.html else "".join(href.split())
        if _same(href, link.url):
            return end
    msg = f"{decoded.text[at : at + 200]!r} does not lead to {link.url}"
    raise Violation(msg)


def _ends(old: bytes, at: int, following: bytes) -> Iterator[int]:
    """Yield where `following` may begin; where it is all the rest, that before others."""
    if old.endswith(following):
        yield len(old) - len(following)
    head = following[:24]
    end = old.find(head, at)
    while head and end >= 0:
        yield end
        end = old.find(head, end + 1)


def _same(href: str, url: str) -> bool:
    try:
        return bool(normalize_url(clean_href(href)) == url)
    except ValueError:
        return False


def independent_checker(tools: Path) -> Check | None:
    """Return the developers' independent checker, where it is beside the checkout."""
    path = tools / "check_preservation.py"
    if not path.exists():
        return None
    spec = importlib.util.spec_from_file_location("check_preservation", path)
    assert spec is not None
    assert spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    sys.modules["check_preservation"] = module
    spec.loader.exec_module(module)
    checker = module.Checker(
        ["https://t.example/"], bcc="must", pixel_anywhere=True, may_drop=["x-indicia-.*"]
    )

    def check(raw: bytes, stamped: bytes) -> list[str]:
        said = checker.check(raw, stamped)
        return [
            f"{each['code']} {each['where']} {each['detail'][:200]}"
            for each in said["violations"]
            if each["code"] != "stale-pixel-left"  # where text would join without it, it stays
        ]

    return check
