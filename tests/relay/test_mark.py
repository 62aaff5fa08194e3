import itertools

from hypothesis import given
from hypothesis import strategies as st

from relay.link import LinkRules, make_link_rules
from relay.mark import Marks, edits_hold, find_marks, pixel_edit
from relay.mime.encoding import Decoded, apply_edits, decode_body
from relay.mime.entity import parse_entity
from relay.mime.html import Token, TokenKind, scan_tokens
from relay.policy import Policy
from relay.template import Edit

_HEADER = b"MIME-Version: 1.0\r\nContent-Type: text/html\r\n\r\n"
_BASE = "https://t.example/"
_TOKEN = "A" * 36
_RULES: LinkRules = make_link_rules(Policy("relay.example", "https://t.example"), _BASE, ())

_SCRAPS = st.sampled_from(
    [
        '<a href="https://x.example/1">one</a>', "<a href=https://x.example/2?a=b&amp;c=d>",
        "<a x='>' href = 'https://x.example/3' y>three</a>", "</a>", "<p>", "text", "&am", "<",
        f'<a href="{_BASE}c/{_TOKEN}/x.example/4">four</a>', f'<img src="{_BASE}o/{_TOKEN}.gif">',
        f"<a href={_BASE}c/{_TOKEN}/x.example/5>", "<!--", "-->", "<div class=gmail_quote>",
        "<title>", "</title>", "<body>", "</body>", "<svg>", "</svg>", "</", ">", '"', "<b x=",
        "</div>", "&#", "\r\n",
    ]
)  # fmt: skip


def _read(text: str) -> tuple[Decoded, Marks] | None:
    raw = _HEADER + text.encode()
    entity = parse_entity(raw)
    decoded = decode_body(raw, entity)
    assert isinstance(decoded, Decoded)
    marks = find_marks(entity, decoded, _RULES, 1)
    return (decoded, marks) if isinstance(marks, Marks) else None


def _layouts(marks: Marks) -> list[tuple[tuple[Edit, ...], int | None]]:
    """Return the edits of each layout there could be, with the place of the pixel."""
    outline = marks.outline
    places = {None, outline.top, outline.history, outline.body_end, outline.end}
    tracked = [link.tracked for link in marks.links]
    untracked = [link.untracked for link in marks.links if link.untracked]
    return [
        (
            tuple(
                sorted(
                    [*marks.stale, *links, *([] if place is None else [pixel_edit(place, _BASE)])],
                    key=lambda edit: (edit.start, edit.end),
                )
            ),
            place,
        )
        for links, place in itertools.product((tracked, untracked), places)
    ]


def _tags(mask: bytes) -> list[tuple[TokenKind, bytes]]:
    return [(token.kind, token.name) for token in scan_tokens(mask) if _is_tag(token)]


def _is_tag(token: Token) -> bool:
    return token.kind is not TokenKind.TEXT


@given(st.lists(_SCRAPS, max_size=20).map("".join))
def test_law_then_a_scan_of_the_whole_gives_the_same_tokens_but_for_images_taken_out_and_the_pixel(
    text: str,
) -> None:
    read = _read(text)
    if read is None:
        return
    decoded, marks = read
    image = (TokenKind.START, b"img")
    taken = sum(not edit.pieces for edit in marks.stale)
    for edits, place in _layouts(marks):
        assert edits_hold(decoded.mask, marks.outline, edits, place)
        after = _tags(apply_edits(decoded.mask, edits))
        before = _tags(decoded.mask)
        assert after.count(image) == before.count(image) - taken + (place is not None)
        assert [tag for tag in after if tag != image] == [tag for tag in before if tag != image]


def test_what_would_end_a_tag_or_begin_another_does_not_hold() -> None:
    read = _read('<p>x <a href="https://x.example/1">one</a></p>')
    assert read is not None
    decoded, marks = read
    (link,) = marks.links
    start, end = link.tracked.start, link.tracked.end
    for literal in (b'"', b'">', b'" <b', b'x">y', b"x y", b""):
        edits = (Edit(start, end, (literal,)),)
        assert not edits_hold(decoded.mask, marks.outline, edits, None), literal
    assert edits_hold(decoded.mask, marks.outline, (Edit(start, end, (b"x",)),), None)
    assert not edits_hold(decoded.mask, marks.outline, (Edit(3, 3, (b"<b>",)),), 3)
    assert not edits_hold(decoded.mask, marks.outline, (Edit(3, 4, (b"y",)),), None)
    assert not edits_hold(decoded.mask, marks.outline, (Edit(3, 4, ()),), None)


def test_an_image_taken_out_where_text_would_join_does_not_hold() -> None:
    text = f'&am<img src="{_BASE}o/{_TOKEN}.gif">p;'
    read = _read(text)
    assert read is not None
    decoded, marks = read
    assert not marks.stale
    (image,) = marks.outline.images
    taken_out = Edit(image.start, image.end, ())
    assert not edits_hold(decoded.mask, marks.outline, (taken_out,), None)
