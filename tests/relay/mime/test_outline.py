import os
from collections.abc import Callable
from dataclasses import replace

import html5lib
import pytest
from selectolax.lexbor import LexborHTMLParser

from relay.mime.charref import decode_attribute
from relay.mime.html import TokenKind, scan_tokens
from relay.mime.outline import Ambiguous, Outline, outline_html

_PIXEL = b'<img src="https://t.example/o/PIXEL.gif" width="1" height="1" alt="">'
_SEEDS = range(int(os.environ.get("INDICIA_HOSTILE", "600")))
"""Fast enough for each run; a long run sets more."""


def _mask(text: str) -> bytes:
    return bytes(ord(char) if char.isascii() else 0x80 for char in text)


def _outline(text: str) -> Outline:
    outline = outline_html(_mask(text))
    assert isinstance(outline, Outline)
    return outline


def _hrefs(mask: bytes, outline: Outline, *, inert: bool) -> set[str]:
    return {
        decode_attribute(mask[link.target_start : link.target_end].decode("latin-1"))
        for link in outline.links
        if inert or not link.inert
    }


def _places(outline: Outline) -> set[int]:
    places = (outline.top, outline.history, outline.body_end, outline.end)
    return {place for place in places if place is not None}


def test_law_an_image_put_in_at_a_place_is_a_token_of_its_own_and_changes_no_other(
    hostile_document: Callable[[int], str],
) -> None:
    outlined = 0
    for seed in _SEEDS:
        mask = _mask(hostile_document(seed))
        outline = outline_html(mask)
        if isinstance(outline, Ambiguous):
            continue
        outlined += 1
        before = [(t.kind, mask[t.start : t.end]) for t in scan_tokens(mask)]
        for place in _places(outline):
            edited = mask[:place] + _PIXEL + mask[place:]
            after = [(t.kind, edited[t.start : t.end]) for t in scan_tokens(edited)]
            after.remove((TokenKind.START, _PIXEL))
            assert _joined(after) == _joined(before), (seed, place)
    assert outlined > len(_SEEDS) // 2


def _joined(tokens: list[tuple[TokenKind, bytes]]) -> list[tuple[TokenKind, bytes]]:
    joined: list[tuple[TokenKind, bytes]] = []
    for kind, text in tokens:
        if kind is TokenKind.TEXT and joined and joined[-1][0] is kind:
            joined[-1] = (kind, joined[-1][1] + text)
        else:
            joined.append((kind, text))
    return joined


def test_lexbor_and_html5lib_find_the_links_and_a_live_image_at_each_place(
    hostile_document: Callable[[int], str],
) -> None:
    for seed in _SEEDS:
        text = hostile_document(seed).replace("é", "e")
        mask = _mask(text)
        outline = outline_html(mask)
        if isinstance(outline, Ambiguous):
            continue
        ours, all_ours = (_hrefs(mask, outline, inert=inert) for inert in (False, True))
        for parse in (_lexbor, _html5lib):
            hrefs, _ = parse(text)
            assert ours <= hrefs, (seed, parse.__name__)
            assert hrefs <= all_ours, (seed, parse.__name__)
        for place in _places(outline):
            edited = text[:place] + _PIXEL.decode() + text[place:]
            for parse in (_lexbor, _html5lib):
                hrefs, live = parse(edited)
                # html5lib 1.1 does not know template: it never ends where something is open in it.
                unknown = parse is _html5lib and "<template" in text
                assert live or unknown, (seed, place, parse.__name__)
                assert ours <= hrefs, (seed, place, parse.__name__)


_HIDING = {"template", "select", "noscript", "object", "video", "audio", "canvas", "svg", "math"}


def _lexbor(text: str) -> tuple[set[str], bool]:
    tree = LexborHTMLParser(text)
    hrefs = {node.attributes.get("href") or "" for node in tree.css("a[href], area[href]")}
    pixels = tree.css('img[src="https://t.example/o/PIXEL.gif"]')
    live = [node for node in pixels if not _HIDING & set(_above_lexbor(node))]
    return hrefs, bool(live)


def _above_lexbor(node: object) -> list[str]:
    names: list[str] = []
    parent = node.parent  # type: ignore[attr-defined] # selectolax has no types
    while parent is not None:
        names.append(parent.tag)
        parent = parent.parent
    return names


def _html5lib(text: str) -> tuple[set[str], bool]:
    tree = html5lib.parse(text, treebuilder="etree", namespaceHTMLElements=False)
    above = {child: parent for parent in tree.iter() for child in parent}
    links = [node for node in tree.iter() if node.tag in ("a", "area")]
    hrefs = {node.get("href") for node in links if node.get("href") is not None}
    for image in tree.iter("img"):
        if image.get("src") == "https://t.example/o/PIXEL.gif":
            names = set()
            node = image
            while node in above:
                node = above[node]
                names.add(node.tag)
            if not _HIDING & names:
                return hrefs, True
    return hrefs, False


@pytest.mark.parametrize(
    "text",
    [
        "<frameset>",
        "<svg><foreignObject><a href=1>",
        "<svg><style><b></style>",
        "<svg><title>a<b></title>",
        "<svg><![CDATA[ > ]]></svg>",
        "<svg><![CDATA[ ",
        "<svg><script/></svg><a href=1>",
        "<math><mi><b></mi>",
        "<select><select>",
        "<select><style></select></style>",
        "<template><svg></template>",
        "<svg><desc>",
        "<noscript><!-- </noscript> --></noscript>",
        "<noscript><noscript>",
    ],
)
def test_what_trees_read_otherwise_is_ambiguous(text: str) -> None:
    assert isinstance(outline_html(text.encode()), Ambiguous)


@pytest.mark.parametrize(
    "text",
    [
        "<svg>[]</svg>",
        "<svg><title>logo</title><style>x</style><desc>d</desc>[]</svg>",
        "<svg><![CDATA[x]]>[]</svg>",
        "<svg><svg/>[]</svg>",
        "<svg width=5/>[]",
        "<math><mi>x</mi>[]</math>",
        "<template>[]</template>",
        "<template><object></object>[]</template>",
        "<select>[]</select>",
        "<noscript>[]</noscript>",
        "<object>[]</object>",
        "<object><p></object>[]",
        "<video><br><i>x</i>[]</video>",
    ],
)
def test_an_inert_link_is_seen_as_such(text: str) -> None:
    inside = text.replace("[]", '<a href="u">x</a>')
    (link,) = _outline(inside).links
    assert link.inert


@pytest.mark.parametrize(
    "text",
    [
        "<svg></svg>[]",
        "<svg/>[]",
        "<svg width='5'/>[]",
        "<svg a/>[]",
        "<object><p>x</p><br></object>[]",
        "<noscript><img src=x></noscript>[]",
        "</select></svg>[]",
        "<desc>[]</desc>",
        "<style><svg></style>[]",
        "<!-- <template> -->[]",
    ],
)
def test_a_link_beside_inert_elements_is_live(text: str) -> None:
    (link,) = _outline(text.replace("[]", '<a href="u">x</a>')).links
    assert not link.inert


_QUOTES = [
    '<div class="gmail_quote">{}</div>',
    '<div class="x gmail_quote gmail_quote_container">{}</div>',
    '<blockquote type="cite">{}</blockquote>',
    "<BLOCKQUOTE TYPE=CITE>{}<blockquote>inner</blockquote></BLOCKQUOTE>",
    '<div class="moz-cite-prefix">{}</div>',
    '<div class="yahoo_quoted" id="y">{}</div>',
]


@pytest.mark.parametrize("quote", _QUOTES)
def test_quoted_history_ends_with_its_element(quote: str) -> None:
    text = "<p>new</p>" + quote.format('<a href="old">o</a>') + '<a href="new">n</a></body>'
    outline = _outline(text)
    assert outline.history == len("<p>new</p>")
    assert [link.quoted for link in outline.links] == [True, False]


_RULE = "border:none;border-top:solid {} 1.0pt;padding:3.0pt 0{} 0cm 0cm"


@pytest.mark.parametrize(
    "mark",
    [
        '<div id="divRplyFwdMsg">',
        "<div id=appendonsend></div>",
        f"<div style='{_RULE.format('#E1E1E1', 'in')}'>",
        f'<div style="{_RULE.format("#B5C4DF", "cm")}">',
    ],
)
def test_after_the_marks_of_outlook_all_is_history(mark: str) -> None:
    outline = _outline(f'<a href="new">n</a>{mark}<div>x</div></div><a href="old">o</a>')
    assert outline.history == len('<a href="new">n</a>')
    assert [link.quoted for link in outline.links] == [False, True]


def test_a_rule_of_another_kind_is_no_history() -> None:
    for tag in (
        "<div style='border:none;border-top:solid #E1E1E1 2.0pt'>",
        "<div class=x>#e1e1e1 1.0pt",
    ):
        assert _outline(f'{tag}<a href="x">x</a>').history is None


def test_a_blockquote_that_cites_nothing_is_no_history() -> None:
    text = '<blockquote class="lead"><div class="x"><a href=1>x</a></div></blockquote>'
    outline = _outline(text + '<blockquote cite="x">y</blockquote>')
    assert outline.history is None
    assert not outline.links[0].quoted


def test_history_in_an_inert_element_is_no_place() -> None:
    assert _outline("<object><blockquote type=cite>x</blockquote>").history is None


def test_the_places_are_after_body_and_before_its_end() -> None:
    text = "<html><head><title>t</title></head><body class=x>hello</body></html>\r\n"
    outline = _outline(text)
    assert outline.top == text.index("hello")
    assert outline.body_end == text.index("</body>")
    assert outline.end == len(text)


@pytest.mark.parametrize(
    ("text", "top"),
    [
        ("<head><title><p></title></head>\r\n<p>x", "\r\n<p>x"),
        ("<!doctype html><html><meta charset=x>\r\n<!-- c --><style>p{}</style><p>x", "<p>x"),
        ("<title></title>words", "words"),
        (" <title>never closed", ""),
        ("  ", ""),
    ],
)
def test_the_top_of_a_document_without_body_is_before_what_is_shown(text: str, top: str) -> None:
    assert _outline(text).top == _outline(text).end or text[_outline(text).top :] == top
    assert text[_outline(text).top :].endswith(top)


@pytest.mark.parametrize(
    "tail",
    [
        '<a href="x',
        "<!-- ",
        "<!",
        "<?x",
        "</",
        "</b",
        "<style>x",
        "<script>",
        "<template>x",
        "<b x='>",
    ],
)
def test_nothing_is_put_where_an_unfinished_end_would_swallow_it(tail: str) -> None:
    outline = _outline(f"<p>x</p>{tail}")
    assert outline.end == len("<p>x</p>")
    assert outline.body_end is None


def test_what_a_link_encloses_ends_with_it_or_with_the_next() -> None:
    text = "<a href=1>one<a href=2>two</a>three<a href=3>four<a>five</a><map><area href=4></map>"
    outline = _outline(text)
    inner = [text[link.end : link.inner_end] for link in outline.links]
    assert inner == ["one", "two", "four", ""]


def test_a_link_that_is_never_closed_goes_on_to_the_end() -> None:
    text = "<a href=1>one <b>two"
    assert _outline(text).links[0].inner_end == len(text)


def test_images_are_listed_where_one_could_be_ours() -> None:
    text = '<img><img src="https://t.example/o/x.gif">'
    assert [image.start for image in _outline(text).images] == [5]
    assert outline_html(b'<img src="x.gif">', (b"t.example",)) == replace(
        _outline('<img src="x.gif">'), images=()
    )


def test_law_without_images_all_else_is_the_same(hostile_document: Callable[[int], str]) -> None:
    for seed in _SEEDS:
        mask = _mask(hostile_document(seed))
        thorough, quick = outline_html(mask), outline_html(mask, (b"host.nowhere",))
        if isinstance(thorough, Outline) and isinstance(quick, Outline) and not quick.images:
            thorough = replace(thorough, images=())
        assert quick == thorough, seed


def test_conditional_comments_are_told_from_others() -> None:
    text = (
        "<!--[if mso]><a href=1></a><![endif]--><!-- [if x] --><!--[if !mso]><!--><a href=2>x</a>"
    )
    outline = _outline(text)
    assert len(outline.conditional) == 2
    assert len(outline.links) == 1


def test_elements_in_each_other_without_measure_are_ambiguous() -> None:
    fits = "<object>" * 32 + "</object>" * 32 + '<a href="x">x</a>'
    assert not _outline(fits).links[0].inert
    outline = outline_html(_mask("<object>" + fits))
    assert outline == Ambiguous("too many elements in each other")


def test_an_element_whose_end_tag_once_did_not_close_it_is_never_closed() -> None:
    outline = _outline('<object><b></object><i></i></object></b></object><a href="x">x</a>')
    assert outline.links[0].inert
    assert outline.end == 0
