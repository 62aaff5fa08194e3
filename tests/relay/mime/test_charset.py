import codecs
import encodings
import pkgutil
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.mime import charset as own
from relay.mime.charset import MASKED, Charset, find_charset

M = bytes([MASKED])
ASCII = bytes(range(128)).decode()


def charset(label: str) -> Charset:
    found = find_charset(label)
    assert found is not None, label
    return found


def expected_mask(text: str, codec: str) -> bytes:
    """Character by character: what is ASCII as itself, what is not as so many masked bytes."""
    return b"".join(
        char.encode() if char.isascii() else M * len(char.encode(codec)) for char in text
    )


WIDE = ["cp932", "shift_jis", "gbk", "gb2312", "gb18030", "big5", "big5hkscs", "cp949", "euc_kr"]
PLAIN = ["utf-8", "iso8859-15", "cp1252", "koi8-r", "euc_jp", "cp437"]


@st.composite
def encodable(draw: st.DrawFn, codec: str) -> str:
    """Text of markup and of characters that the codec has."""
    chars = draw(
        st.lists(
            st.one_of(
                st.sampled_from('<a href="x">&=\'/ \r\n'),
                st.sampled_from("ソ能表予ЖéÄ①日本語。中文字한국어功許"),
                st.characters(max_codepoint=0xFFFF, exclude_categories=("Cs", "Cc")),
            ),
            max_size=30,
        )
    )
    return "".join(chars).encode(codec, "ignore").decode(codec)


@pytest.mark.parametrize("codec", [*PLAIN, *WIDE])
def test_the_mask_shows_just_the_ascii_characters(codec: str) -> None:
    """
    Law: an ASCII character that the codec reads stands in the mask at its place, all other
    bytes are MASKED.
    """

    @settings(max_examples=40)
    @given(encodable(codec))
    def law(text: str) -> None:
        raw = text.encode(codec)
        found = charset(codec)
        assert found.mask(raw) == expected_mask(text, codec)
        assert found.decode(raw) == raw.decode(found.codecs[0])

    law()


@pytest.mark.parametrize("codec", ["iso2022_jp", "iso2022_jp_2", "iso2022_jp_ext"])
def test_what_stands_between_escape_sequences_is_masked(codec: str) -> None:
    @settings(max_examples=40)
    @given(
        encodable(codec).map(
            lambda text: re.sub(r"[^\x00-\x7f\u3000-\u9fff\uff00-\uffef]", "", text)
        )
    )
    def law(text: str) -> None:
        raw = text.encode(codec)
        mask = charset(codec).mask(raw)
        if mask is None:
            assert codec != "iso2022_jp"  # the others have sets that ISO-2022-JP has not
            return
        assert len(mask) == len(raw)
        assert mask.replace(M, b"").decode() == "".join(filter(str.isascii, text))

    law()


def test_every_charset_called_safe_reads_ascii_bytes_as_ascii_and_no_others() -> None:
    for name in own._ASCII_SAFE:
        assert codecs.lookup(name).name == name
        assert bytes(range(128)).decode(name) == ASCII
        for byte in range(128, 256):
            assert not re.search("[\x00-\x7f]", bytes([byte]).decode(name, "ignore")), name


def test_every_alias_and_every_wide_charset_is_one_that_python_has() -> None:
    assert all(find_charset(alias) for alias in own._ALIASES)
    assert all(codecs.lookup(name).name == name for name in own._WIDE)


def test_what_is_neither_safe_nor_wide_is_not_read() -> None:
    names = {module.name.replace("_", "-") for module in pkgutil.iter_modules(encodings.__path__)}
    unread = {name for name in names if find_charset(name) is None}
    assert unread >= {
        *("utf-16", "utf-16-le", "utf-32", "utf-7", "hz", "iso2022-kr", "cp037", "cp500", "cp864"),
        *("punycode", "idna", "unicode-escape", "raw-unicode-escape", "base64-codec", "undefined"),
    }


@pytest.mark.parametrize("label", ["no-such", "utf-8\x00", "a" * 50, "../utf-8", "é", "utf 8"])
def test_a_label_that_is_none_is_not_read(label: str) -> None:
    assert find_charset(label) is None


def test_no_label_is_ascii_and_8_bit_bytes_in_it_are_masked() -> None:
    assert charset("").mask("é<".encode()) == M * 2 + b"<"
    assert charset("us-ascii").decode("é".encode()) == "é"
    assert charset("").decode(b"\xe9") == "é"
    assert charset("").decode(b"\x81") == "\N{REPLACEMENT CHARACTER}"


def test_broken_utf_8_is_masked_too() -> None:
    assert charset("utf-8").mask(b"\xc3<a>\xff") == M + b"<a>" + M
    assert charset("utf-8").decode(b"a\xc3") == "a\N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize("label", ["", "utf-8", "shift_jis"])
@pytest.mark.parametrize(
    "foreign", [b"<\x00a\x00", b"\x1b$B<\x1b(B", b"\x0e<\x0f", b"\xff\xfe<\x00"]
)
def test_a_text_of_another_kind_than_it_says_is_broken(label: str, foreign: bytes) -> None:
    assert charset(label).mask(foreign) is None
    assert charset(label).mask(b"\x81\x40" + foreign) is None


@pytest.mark.parametrize(
    ("label", "text"),
    [
        ("shift_jis", b"\x81<a>"),  # a reader may swallow the `<`
        ("gbk", b"\x81 "),
        ("big5", b"\xff"),
        ("euc-kr", b"\x81<"),
        ("shift_jis", b"\x85\x40\\"),  # JIS X 0213 has a yen sign for the backslash
        ("iso-2022-jp", b"\x1b$B<a"),  # never returns to ASCII
        ("iso-2022-jp", b"\x1b$B<a<\x1b(B"),  # half a character
        ("iso-2022-jp", b"\x1b$B\r\n\x1b(B"),
        ("iso-2022-jp", b"\x1b.A<\x1b(B"),  # a sequence it does not have
        ("iso-2022-jp", b"\xe9"),
        ("iso-2022-jp", b"\x00"),
    ],
)
def test_a_wide_text_that_is_broken_is_not_masked(label: str, text: bytes) -> None:
    assert charset(label).mask(text) is None


@pytest.mark.parametrize(
    ("label", "text", "mask"),
    [
        ("shift_jis", b"<\x83\x5c>", b"<..>"),
        ("shift_jis", b"<\xb1>", b"<.>"),
        ("gb2312", b"<\x81\x7c>", b"<..>"),
        ("gb18030", b"<\x81\x30\x81\x30>", b"<....>"),
        ("big5", b"<\xa5\x5c>", b"<..>"),
        ("cp950", b"<\xf9\xfe>", b"<..>"),
        ("ks_c_5601-1987", b"<\x81\x41>", b"<..>"),
        ("johab", b"<\x88\x61>", b"<..>"),
        ("iso-2022-jp", b"<\x1b$B<a\x1b(B>", b"<........>"),
        ("iso-2022-jp", b"<\x1b(J\\\r\n\x1b$B<a\x1b(B>", b"<..............>"),
        ("iso-2022-jp", b"\x1b(B<", b"...<"),
        ("iso-2022-jp", b"\x1b(I1\x1b(B<", b".......<"),
    ],
)
def test_wide_characters_are_masked_whole(label: str, text: bytes, mask: bytes) -> None:
    assert charset(label).mask(text) == mask.replace(b".", M)


def test_what_is_shown_of_a_broken_stretch_has_a_mark_for_it() -> None:
    assert charset("shift_jis").decode(b"a\x81") == "a\N{REPLACEMENT CHARACTER}"
