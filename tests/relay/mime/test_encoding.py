import base64
import quopri
from collections.abc import Sequence
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.mail import Entity
from relay.mime.encoding import (
    MAX_LINE,
    Decoded,
    Spliced,
    TransferEncoding,
    decode_body,
    splice_body,
    too_long,
)
from relay.mime.segments import fill_segments
from relay.template import Edit, Segment, Slot, SlotEncoding, SlotKind, Span
from relay.verdict import PassReason, PassThrough

BEFORE = b"Content-Type: text/html\r\n\r\n"
AFTER = b"\r\n--b--\r\n"
TOKEN = b"--token-that-could-be-a-delimiter-36"
LINK = Slot(SlotKind.LINK, 1)


def entity_of(body: bytes, encoding: str, charset: str) -> Entity:
    start = len(BEFORE)
    return Entity(0, start, start + len(body), "text/html", encoding, charset)


def decode(body: bytes, encoding: str, charset: str = "utf-8") -> Decoded | PassThrough:
    return decode_body(BEFORE + body + AFTER, entity_of(body, encoding, charset))


def decoded(body: bytes, encoding: str, charset: str = "utf-8") -> Decoded:
    found = decode(body, encoding, charset)
    assert isinstance(found, Decoded), found
    return found


def write(slot: Slot) -> bytes:
    if slot.encoding is SlotEncoding.LITERAL:
        assert not slot.lead
        assert not slot.tail
        return TOKEN
    quanta = base64.b64encode(slot.lead + TOKEN + slot.tail)
    assert len(quanta) in (48, 52)
    assert not quanta.endswith(b"=")
    return quanta


def fill(body: Decoded, segments: Sequence[Segment]) -> bytes:
    return fill_segments(body.raw, segments, write)


def applied(text: bytes, edits: Sequence[Edit]) -> bytes:
    done, at = [], 0
    for edit in edits:
        done.append(text[at : edit.start])
        done += [TOKEN if isinstance(piece, Slot) else piece for piece in edit.pieces]
        at = edit.end
    return b"".join([*done, text[at:]])


def spliced(body: Decoded, edits: Sequence[Edit]) -> bytes:
    found = splice_body(body, edits)
    assert isinstance(found, Spliced), found
    return fill(body, found.segments)


def transfer_decode(encoding: str, body: bytes) -> bytes:
    """What an independent decoder makes of it."""
    if encoding == "quoted-printable":
        return quopri.decodestring(body)
    if encoding == "base64":
        return base64.b64decode(b"".join(body.split()), validate=True)
    return body


def lengths(body: bytes) -> list[int]:
    return [len(line.rstrip(b"\r")) for line in body.split(b"\n")]


def count_over(limit: int, body: bytes) -> int:
    return sum(length > limit for length in lengths(body))


# --- laws -----------------------------------------------------------------------------------------

LINE_ENDS = st.sampled_from([b"\r\n", b"\n"])
WORDS = (
    *(b"<a href=", b'"', b">", b"--b--", b"--", b"-" * 40, b".", b"From ", b" ", b"\t", b"="),
    *(b"caf\xc3\xa9", b"\xc3", b"w" * 20, b"w" * 70, b"w" * 400),
)
LITERALS = (
    *(b"https://t.example/c/", b"/shop.example/a?b=c&amp;d=e--f.-", b'">', b"..--..", b"-."),
    *(b"z=" * 60, b"a ", b"\t\t", b"caf\xc3\xa9", b"x\r\ny"),
)


@st.composite
def texts(draw: st.DrawFn, line_end: bytes) -> bytes:
    lines = draw(st.lists(st.lists(st.sampled_from(WORDS), max_size=8), min_size=1, max_size=6))
    return line_end.join(map(b"".join, lines))


def quoted(text: bytes, line_end: bytes, chance: Random) -> bytes:
    """The text in quoted-printable, as some encoder or other would write it."""
    done = []
    for line in text.split(line_end):
        width = chance.choice([75, 75, 73, 30, 5, 90])
        broken, column = b"", 0
        for place, byte in enumerate(line):
            at_end = place == len(line) - 1
            must = byte == 0x3D or (byte < 0x20 and byte != 9) or (byte in b" \t" and at_end)
            atom = b"=%02X" % byte if must or chance.random() < 0.05 else bytes([byte])
            if column + len(atom) > width + at_end:
                broken += b"=" + line_end
                column = 0
            broken += atom
            column += len(atom)
        done.append(broken)
    return line_end.join(done) + chance.choice([b"", b"", b"=", b"=" + line_end])


def quanta(text: bytes, line_end: bytes, chance: Random) -> bytes:
    """The text in base64, with lines of any length and line ends after it."""
    encoded = base64.b64encode(text)
    width = chance.choice([76, 76, 64, 60, 72, 4, 500])
    lines = [encoded[at : at + width] for at in range(0, len(encoded), width)]
    return line_end.join(lines) + line_end * chance.randrange(3)


@st.composite
def bodies(draw: st.DrawFn) -> tuple[str, bytes, bytes]:
    """An encoding, the text and the encoded body."""
    line_end = draw(LINE_ENDS)
    text = draw(texts(line_end))
    chance = Random(draw(st.integers(0, 1000)))
    encoding = draw(st.sampled_from(["8bit", "quoted-printable", "base64"]))
    if encoding == "quoted-printable":
        return encoding, text, quoted(text, line_end, chance)
    if encoding == "base64":
        return encoding, text, quanta(text, line_end, chance)
    return encoding, text, text


@st.composite
def edits_of(draw: st.DrawFn, body: Decoded) -> tuple[Edit, ...]:
    places = [
        place
        for place in range(len(body.text) + 1)
        if place == 0 or body.mask[place - 1 : place + 1] not in (b"\r\n", b"\x80\x80")
    ]
    borders = sorted(draw(st.lists(st.sampled_from(places), max_size=8)))
    edits: list[Edit] = []
    for start, end in pairwise([*borders, *borders[-1:]]):
        kind = draw(st.sampled_from(["skip", "insert", "replace", "remove", "link", "twice"]))
        if kind == "skip" or (edits and edits[-1].end > start):
            continue
        literal, more = draw(st.sampled_from(LITERALS)), draw(st.sampled_from(LITERALS))
        pieces: dict[str, tuple[bytes | Slot, ...]] = {
            "remove": (),
            "replace": (literal,),
            "insert": (literal, more),
            "link": (literal, LINK, more),
            "twice": (literal, LINK, more, LINK, literal),
        }
        edits.append(Edit(start, start if kind == "insert" else end, pieces[kind]))
    return tuple(edits)


@given(bodies(), st.data())
def test_splicing_keeps_its_laws(some: tuple[str, bytes, bytes], data: st.DataObject) -> None:
    """
    Law: without edits the segments are the body; filled, they decode to the text with the edits.
    Law: stretches between edits keep their encoded bytes, but for soft line breaks beside edits,
    and in base64 behind the first edit.
    Law: no encoded line is over 76 characters, and no other over MAX_LINE, that was not before.
    """
    encoding, text, raw_body = some
    body = decoded(raw_body, encoding)
    assert body.text == text
    assert spliced(body, ()) == raw_body
    edits = data.draw(edits_of(body))
    found = splice_body(body, edits)
    if isinstance(found, PassThrough):
        assert found.reason is PassReason.LINE_TOO_LONG
        return
    after = fill(body, found.segments)
    assert transfer_decode(encoding, after) == applied(text, edits)
    limit = MAX_LINE if encoding == "8bit" else max(76, *lengths(raw_body))
    assert count_over(limit, after) <= count_over(limit, raw_body)
    assert_kept(body, found.segments, edits)


def assert_kept(body: Decoded, segments: Sequence[Segment], edits: Sequence[Edit]) -> None:
    spans = [segment for segment in segments if isinstance(segment, Span)]
    assert all(body.start <= span.start < span.end <= body.end for span in spans)
    assert all(before.end <= after.start for before, after in pairwise(spans))
    kept = b"".join(body.raw[span.start : span.end] for span in spans)
    raw_body = body.raw[body.start : body.end]
    if not edits:
        assert kept == raw_body
    elif body.encoding is TransferEncoding.BASE64:
        before = base64.b64encode(body.text[: edits[0].start // 3 * 3])
        assert b"".join(kept.split()).startswith(before)
    else:
        outside = applied(body.text, [Edit(edit.start, edit.end, ()) for edit in edits])
        assert transfer_decode(body.encoding, kept) == outside


@given(st.binary(max_size=80), st.sampled_from(["8bit", "quoted-printable", "base64", "x"]))
def test_any_body_is_decoded_or_passed_through(body: bytes, encoding: str) -> None:
    """Law: it never raises."""
    for charset in ("", "utf-8", "shift_jis", "iso-2022-jp", "big5", "no-such"):
        found = decode(body, encoding, charset)
        if isinstance(found, Decoded):
            assert len(found.mask) == len(found.text)
            assert found.decode(0, len(found.text)) is not None


@given(st.lists(st.sampled_from([b"w" * 300, b"w" * 900, b"w" * 1200, b"\r\n"])), st.data())
def test_without_the_edits_named_no_line_grows_too_long(
    words: list[bytes], data: st.DataObject
) -> None:
    """
    Law: without the edits named no line is over MAX_LINE that was not, and no more are named then.
    """
    body = decoded(b"".join(words), "8bit")
    edits = data.draw(edits_of(body))
    over = too_long(body, edits)
    rest = [edit for number, edit in enumerate(edits) if number not in over]
    assert too_long(body, rest) == frozenset()
    was_over = count_over(MAX_LINE, body.text)
    # A line that is over may be broken into two that are.
    broken = sum(p.count(b"\n") for edit in rest for p in edit.pieces if isinstance(p, bytes))
    assert count_over(MAX_LINE, spliced(body, rest)) <= was_over + (broken if was_over else 0)
    if over:
        assert isinstance(splice_body(body, edits), PassThrough)


# --- decoding -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "encoding", "charset", "reason"),
    [
        (b"<p>", "x-uuencode", "utf-8", PassReason.UNKNOWN_ENCODING),
        (b"<p>", "7bit", "no-such", PassReason.UNKNOWN_CHARSET),
        (b"<p>", "7bit", "utf-16", PassReason.UNKNOWN_CHARSET),
        (b"a=b", "quoted-printable", "utf-8", PassReason.BROKEN_ENCODING),
        (b"QUJ", "base64", "utf-8", PassReason.BROKEN_ENCODING),
        (b"\x81<", "8bit", "shift_jis", PassReason.BROKEN_CHARSET),
        (b"PABhAA==", "base64", "utf-8", PassReason.BROKEN_CHARSET),
    ],
)
def test_what_can_not_be_decoded_is_passed_through(
    body: bytes, encoding: str, charset: str, reason: PassReason
) -> None:
    found = decode(body, encoding, charset)
    assert isinstance(found, PassThrough)
    assert found.reason is reason


def test_an_opaque_part_is_passed_through() -> None:
    entity = Entity(0, 0, 1, "multipart/mixed", "7bit", "", opaque=True)
    found = decode_body(b"x", entity)
    assert found == PassThrough(PassReason.BROKEN_STRUCTURE, "multipart/mixed")


@pytest.mark.parametrize("encoding", ["7bit", "8bit", "binary", "quoted-printable"])
def test_the_mask_is_that_of_the_decoded_text(encoding: str) -> None:
    body = decoded("<p>é".encode(), encoding)
    assert body.text == "<p>é".encode()
    assert body.mask == b"<p>\x80\x80"
    assert body.decode(3, 5) == "é"


def test_markup_in_kanji_is_no_markup() -> None:
    text = "<p>表能</p>".encode("cp932")
    body = decoded(base64.b64encode(text), "base64", "shift_jis")
    assert b"\\" in text
    assert body.mask == b"<p>\x80\x80\x80\x80</p>"
    assert body.decode(0, len(text)) == "<p>表能</p>"


# --- splicing -------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["8bit", "quoted-printable", "base64"])
@pytest.mark.parametrize(
    "charset", ["utf-8", "shift_jis", "gb18030", "big5", "iso-2022-jp", "euc-kr"]
)
def test_a_link_among_characters_of_any_charset_is_spliced(encoding: str, charset: str) -> None:
    codec = {"shift_jis": "cp932", "euc-kr": "cp949"}.get(charset, charset)
    words = {"euc-kr": "한국어 문서", "gb18030": "简体中文", "big5": "繁體中文功"}
    markup = f'<p>{words.get(charset, "日本語")}<a href="http://a.example/">'
    text = (markup + words.get(charset, "日本語") + "</a></p>\r\n").encode(codec)
    raw_body = {
        "8bit": text,
        "quoted-printable": quopri.encodestring(text).replace(b"=\n", b"=\r\n"),
        "base64": base64.encodebytes(text).replace(b"\n", b"\r\n"),
    }[encoding]
    body = decoded(raw_body, encoding, charset)
    start = body.mask.index(b"http")
    edit = Edit(start, start + 17, (b"https://t.example/c/", LINK, b"/a.example/"))
    after = transfer_decode(encoding, spliced(body, [edit]))
    link = f"https://t.example/c/{TOKEN.decode()}/a.example/"
    assert after.decode(codec) == text.decode(codec).replace("http://a.example/", link)


@pytest.mark.parametrize(
    ("edits", "text"),
    [
        ([Edit(2, 1, ())], b"abc"),
        ([Edit(0, 4, ())], b"abc"),
        ([Edit(0, 2, ()), Edit(1, 3, ())], b"abc"),
        ([Edit(1, 2, (b"x",))], "é".encode()),
        ([Edit(0, 1, ())], "é".encode()),
        ([Edit(1, 1, (b"x",))], b"\r\n"),
        ([Edit(0, 0, (LINK,))], b"abc"),
        ([Edit(0, 0, (b"x", LINK, b"xx"))], b"abc"),
        ([Edit(0, 0, (b"xx", LINK, b"x"))], b"abc"),
        ([Edit(0, 0, (b"xx", LINK))], b"abc"),
        ([Edit(0, 0, (b"xx", LINK, LINK, b"xx"))], b"abc"),
        ([Edit(0, 0, (b"x\n", LINK, b"xx"))], b"abc"),
    ],
)
@pytest.mark.parametrize("encoding", ["8bit", "quoted-printable"])
def test_edits_that_are_not_in_order_or_not_between_characters_are_refused(
    edits: list[Edit], text: bytes, encoding: str
) -> None:
    with pytest.raises(ValueError, match="Edit"):
        splice_body(decoded(text, encoding), edits)


@pytest.mark.parametrize(("line_end", "other"), [(b"\r\n", b"\n"), (b"\n", b"\r\n")])
@pytest.mark.parametrize("encoding", ["quoted-printable", "base64"])
def test_new_lines_end_as_the_empty_line_before_the_body(
    line_end: bytes, other: bytes, encoding: str
) -> None:
    header = b"Content-Type: text/html" + line_end * 2
    body = {"quoted-printable": b"ab", "base64": b"YWJj"}[encoding]
    entity = Entity(0, len(header), len(header) + len(body), "text/html", encoding, "")
    found = decode_body(header + body, entity)
    assert isinstance(found, Decoded)
    after = spliced(found, [Edit(1, 1, (b"x" * 100,))])
    assert after.count(line_end) == 1
    assert after.count(b"\n") == 1
    assert other == b"\n" or other not in after


# --- long lines -----------------------------------------------------------------------------------


def test_the_edits_that_make_a_line_too_long_are_named() -> None:
    body = decoded(b"a" * 950 + b"\r\n" + b"b" * 990 + b"\r\n", "8bit")
    link = (b"zz", LINK, b"zz")
    edits = [
        Edit(0, 0, link),
        Edit(1, 1, link),
        Edit(2, 4, (b"y" * 10,)),
        Edit(952, 952, (b"x" * 8,)),
        Edit(953, 953, (b"x",)),
    ]
    assert too_long(body, edits) == {1, 4}
    found = splice_body(body, edits)
    assert found == PassThrough(PassReason.LINE_TOO_LONG, "2 of 5 edits")


def test_a_line_that_is_too_long_already_may_grow() -> None:
    body = decoded(b"a" * 1000 + b"\r\n", "8bit")
    assert too_long(body, [Edit(0, 0, (b"x" * 50,))]) == frozenset()


def test_lines_that_an_edit_joins_count_as_one() -> None:
    body = decoded(b"a" * 600 + b"\r\n" + b"b" * 600 + b"\r\n", "8bit")
    assert too_long(body, [Edit(600, 602, ())]) == {0}
    assert too_long(body, [Edit(600, 602, ()), Edit(603, 603, (b"x" * 398,))]) == {0}
    assert too_long(body, [Edit(600, 602, ()), Edit(603, 603, (b"x" * 399,))]) == {0, 1}
    assert too_long(body, [Edit(500, 902, ()), Edit(903, 903, (b"x" * 200,))]) == {1}


def test_lines_within_an_edit_count_too() -> None:
    body = decoded(b"a" * 600, "8bit")
    assert too_long(body, [Edit(600, 600, (b"x" * 398 + b"\r\nyy", LINK, b"zz"))]) == frozenset()
    assert too_long(body, [Edit(600, 600, (b"x" * 400 + b"\r\nyy", LINK, b"zz"))]) == {0}


def test_encoded_lines_are_never_too_long() -> None:
    body = decoded(b"a" * 70, "quoted-printable")
    assert too_long(body, [Edit(0, 0, (b"x" * 2000,))]) == frozenset()
    found = splice_body(decoded(b"-" * 76 + b"\r\n", "quoted-printable"), [Edit(76, 76, (b"x",))])
    assert isinstance(found, PassThrough)
