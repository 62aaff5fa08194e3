import html5lib
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.mime.charref import decode_attribute, decode_text


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("a&amp;b", "a&b"),
        ("a&amp;amp;b", "a&amp;b"),
        ("?a=1&copy=2", "?a=1&copy=2"),
        ("?a=1&copyb", "?a=1&copyb"),
        ("?a=1&copy;=2", "?a=1©=2"),
        ("?a=1&copy", "?a=1©"),
        ("?a=1&copy&x", "?a=1©&x"),
        ("&notit;", "&notit;"),
        ("&notin;", "∉"),
        ("&nosuch;", "&nosuch;"),
        ("&", "&"),
        ("&;", "&;"),
        ("&#;", "&#;"),
        ("&#x;", "&#x;"),
        ("&#65;&#x41;&#x41g", "AAAg"),
        ("&#0;&#xD800;&#x110000;&#99999999999999999999;", "\ufffd" * 4),
        ("&#x80;&#x81;", "€\x81"),
        ("&#00000000000000065;", "A"),
    ],
)
def test_an_attribute_is_decoded_once_by_the_rule_for_attributes(written: str, meant: str) -> None:
    assert decode_attribute(written) == meant


def test_in_text_a_name_needs_no_semicolon() -> None:
    assert decode_text("a &copy=2 &notit; &amp;lt; b") == "a ©=2 ¬it; &lt; b"
    assert decode_text("plain") == "plain"


_PIECES = st.sampled_from(
    ["&", "&amp;", "&am", "amp", ";", "#", "x", "1", "41", "=", "copy", "&copy", "&not", "in", " "]
)


@given(st.lists(_PIECES, max_size=8).map("".join))
def test_html5lib_decodes_an_attribute_alike(written: str) -> None:
    tree = html5lib.parseFragment(f'<a href="{written}">', namespaceHTMLElements=False)
    assert decode_attribute(written) == tree[0].get("href")
