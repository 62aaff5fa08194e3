from collections.abc import Callable

import pytest
from html5lib._tokenizer import HTMLTokenizer
from html5lib.constants import tokenTypes
from hypothesis import given
from hypothesis import strategies as st

from relay.mime.charref import decode_attribute
from relay.mime.html import (
    RAW_TEXT,
    Token,
    TokenKind,
    find_attribute,
    make_attribute_search,
    make_pace,
    make_stride,
    read_attributes,
    scan_tokens,
    take_links,
)

_SCRAPS = st.sampled_from(
    [
        "<a", "<A HREF=", "<b>", "</a>", "</", "<", ">", "/", "/>", "=", '"', "'", " ", "\r\n", "x",
        "<!--", "-->", "--!>", "<!-->", "<!--->", "--", "<!", "<?", "<!doctype html>", "<![CDATA[",
        "]]>", "<script>", "</script>", "<script ", "<!--<script>", "<style>", "</style", "<title>",
        "</title>", "<textarea>", "</textarea>", "href", 'href="u"', "href=v ", "alt", "&amp;", "é",
        "<plaintext>", "</>", "</ >", "<img src=1>", "<div class=q>", "\f", "\t", "`", "<svg/x>",
    ]
)  # fmt: skip
_DOCUMENTS = st.lists(_SCRAPS, max_size=30).map("".join)


def _mask(text: str) -> bytes:
    return bytes(ord(char) if char.isascii() else 0x80 for char in text)


def _kinds(text: str) -> list[tuple[str, str]]:
    return [(t.kind.value, text[t.start : t.end]) for t in scan_tokens(_mask(text))]


@given(_DOCUMENTS)
def test_law_the_tokens_cover_the_input_without_gap_or_overlap(text: str) -> None:
    position = 0
    for token in scan_tokens(_mask(text)):
        assert token.start == position < token.end
        position = token.end
    assert position == len(text)


@given(_DOCUMENTS, st.sets(st.sampled_from([b"a", b"b", b"img", b"div"])))
def test_law_a_pace_gives_the_tokens_of_the_full_scan_without_text_and_tags_not_named(
    text: str, names: set[bytes]
) -> None:
    mask = _mask(text).lower()
    stops = names | RAW_TEXT | {b"plaintext"}
    wanted = [
        token
        for token in scan_tokens(mask)
        if token.kind is not TokenKind.TEXT
        and not (token.kind in (TokenKind.START, TokenKind.END) and token.name not in stops)
    ]
    assert list(scan_tokens(mask, pace=make_pace(frozenset(names)))) == wanted


_LINKS = st.sampled_from(
    [
        '<a href="u">t</a>', "<a href=u>", "<a x='>' href = 'u' y>", "</a>", "<a>", "<a href>",
        '<a/href="u"class="c">', "<a href=>", "<abbr href=u>", "<b>", "<div x=y>", "</p ",
        '<td x="<a">', '</p c="d">', '<a b="c" href="u" d="e>">', '<a href-b="c" href="u"d="e">',
        '<a b="c"  href="u">', '<a ="b" href="u">', '<address b="c">', '<a href="u"/>',
        "<!-- x -->", "<!---->", "<!--[if mso]>", "<!--a--b--!>", "<!---", "-",
    ]
)  # fmt: skip
_HREF = make_attribute_search(b"href")
_PACE, _STRIDE = make_pace(frozenset((b"a", b"div"))), make_stride(frozenset((b"a", b"div")))


def _stops(mask: bytes, position: int = 0) -> list[Token]:
    """Return what may end the stride: comments do not, but some, and conditional ones do."""
    tokens = scan_tokens(mask, position, pace=_PACE)
    return [
        token
        for token in tokens
        if token.kind is not TokenKind.COMMENT
        or not mask.startswith(b"<!--", token.start)
        or mask.startswith(b"<!--[if", token.start)
    ]


@given(st.lists(_SCRAPS | _LINKS, max_size=30).map("".join))
def test_law_scan_tokens_gives_a_start_and_an_end_tag_for_each_link_and_no_other_that_is_named(
    text: str,
) -> None:
    mask = _mask(text).lower()
    links, end = take_links(mask, 0, _STRIDE)
    stops = _stops(mask)
    tags = stops[: 2 * len(links)]
    assert [(token.kind, token.name) for token in tags] == [
        (TokenKind.START, b"a"),
        (TokenKind.END, b"a"),
    ] * len(links)
    for link, tag, closing in zip(links, tags[::2], tags[1::2], strict=True):
        href = find_attribute(mask, tag, _HREF)
        assert href is not None
        assert link == (tag.start, tag.end, href.start, href.end, closing.start)
    assert _stops(mask, end) == stops[2 * len(links) :]


def test_a_stride_takes_links_up_to_what_ends_it() -> None:
    mask = b'<p><a x href="u">one</a> <!----> <a href=v><b>two</b></a><div><a href=w>three</a>'
    links, end = take_links(mask, 0, _STRIDE)
    assert [mask[start:end] for _, _, start, end, _ in links] == [b"u", b"v"]
    assert [mask[end:inner_end] for _, end, _, _, inner_end in links] == [b"one", b"<b>two</b>"]
    assert mask.startswith(b"<div>", end)


@given(_DOCUMENTS)
def test_law_a_search_finds_what_read_attributes_has_under_that_name(text: str) -> None:
    mask = _mask(text)
    for token in scan_tokens(mask):
        if token.kind is TokenKind.START:
            named = [a for a in read_attributes(mask, token) if a.name == b"href"]
            assert find_attribute(mask, token, _HREF) == (named[0] if named else None)


@given(_DOCUMENTS)
def test_html5lib_sees_the_same_tags_and_attributes(text: str) -> None:
    mask = _mask(text)
    text = text.replace("\r\n", "\n ")  # the same length, and white space as before
    assert _seen_by_us(text, mask) == _seen_by_html5lib(text)


def _seen_by_us(text: str, mask: bytes) -> list[object]:
    seen: list[object] = []
    for token in scan_tokens(mask):
        if token.kind is TokenKind.START:
            seen.append((token.name.decode("latin-1"), _attributes(text, mask, token)))
        elif token.kind is TokenKind.END:
            seen.append(token.name.decode("latin-1"))
    return seen


def _attributes(text: str, mask: bytes, token: Token) -> dict[str, str]:
    return {
        attribute.name.decode("latin-1"): decode_attribute(text[attribute.start : attribute.end])
        for attribute in read_attributes(mask, token)
    }


class _NoTree:
    """What html5lib's tokenizer asks of its parser: the current element has no namespace."""

    tree = type("Tree", (), {"openElements": (), "defaultNamespace": None})()
    scripting = False


def _seen_by_html5lib(text: str) -> list[object]:
    tokenizer = HTMLTokenizer(text.encode(), override_encoding="utf-8", parser=_NoTree())
    seen: list[object] = []
    for token in tokenizer:
        if token["type"] == tokenTypes["StartTag"]:
            name = token["name"]
            seen.append((_opaque(name), {_opaque(k): v for k, v in token["data"].items()}))
            if name in ("title", "textarea"):
                tokenizer.state = tokenizer.rcdataState
            elif name == "script":
                tokenizer.state = tokenizer.scriptDataState
            elif name == "plaintext":
                tokenizer.state = tokenizer.plaintextState
            elif name.encode("ascii", "replace") in RAW_TEXT:
                tokenizer.state = tokenizer.rawtextState
            tokenizer.currentToken = {"type": tokenTypes["StartTag"], "name": name}
        elif token["type"] == tokenTypes["EndTag"]:
            seen.append(_opaque(token["name"]))
    return seen


def _opaque(name: str) -> str:
    return "".join(char if char.isascii() else "\x80" for char in name)


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("a<b>c</b>", ["text", "start", "text", "end"]),
        ("<!-->x-->", ["comment", "text"]),
        ("<!--->x", ["comment", "text"]),
        ("<!--a--!>x", ["comment", "text"]),
        ("<!--a--x", ["cut"]),
        ("<!doctype html>x", ["doctype", "text"]),
        ("<!DOCTYPE", ["cut"]),
        ("<!x>y<?z>", ["comment", "text", "comment"]),
        ("</ x>y", ["comment", "text"]),
        ("</>y", ["nothing", "text"]),
        ("<![CDATA[<b>]]>", ["comment", "text"]),
        ("<a href='x", ["cut"]),
        ('<a href="x>y', ["cut"]),
        ("<a", ["cut"]),
        ("< a>", ["text"]),
        ("a<", ["text"]),
        ("<style><b></style>c", ["start", "text", "end", "text"]),
        ("<style></styles></style>", ["start", "text", "end"]),
        ("<style><b>", ["start", "text"]),
        ("<style></style x", ["start", "cut"]),
        ("<plaintext></plaintext>", ["start", "text"]),
        ("<script><!--<script></script></script>x", ["start", "text", "end", "text"]),
        ("<script><!--<script></script>-->x</script>", ["start", "text", "end"]),
        ("<script><!--></script>x", ["start", "text", "end", "text"]),
        ("<script><!--<script>", ["start", "text"]),
    ],
)
def test_a_document_has_these_tokens(text: str, kinds: list[str]) -> None:
    assert [kind for kind, _ in _kinds(text)] == kinds


def test_of_attributes_of_one_name_the_first_counts() -> None:
    mask = b"<a HREF=one href='two' =x y= z='' w>"
    (token,) = scan_tokens(mask)
    found = [(a.name, mask[a.start : a.end], a.quote) for a in read_attributes(mask, token)]
    assert found == [
        (b"href", b"one", b""),
        (b"=x", b"", b""),
        (b"y", b"z=''", b""),
        (b"w", b"", b""),
    ]


def test_raw_text_can_be_where_a_scan_begins() -> None:
    tokens = list(scan_tokens(b"</title>x", raw_text=b"title"))
    assert [token.kind for token in tokens] == [TokenKind.END, TokenKind.TEXT]


def test_a_large_document_is_scanned_in_linear_time(clocked: Callable[..., float]) -> None:
    small, large = (b"<a href=x>" * size + b"<!-- " * size for size in (20_000, 80_000))
    once = clocked(lambda: sum(1 for _ in scan_tokens(small)))
    assert clocked(lambda: sum(1 for _ in scan_tokens(large))) < 10 * once
