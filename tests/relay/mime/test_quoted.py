import quopri
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.mime.quoted import decode_quoted, splice_quoted
from relay.mime.segments import fill_segments
from relay.template import Edit, Slot, SlotEncoding, SlotKind
from relay.verdict import PassReason, PassThrough

TOKEN = b"--token-that-could-be-a-delimiter-36"
BLANK = Slot(SlotKind.LINK, 7, html=False)
BASE = 5


def splice(body: bytes, *edits: Edit, line_end: bytes = b"\r\n") -> bytes:
    segments = splice_quoted(body, BASE, line_end, edits)
    assert not isinstance(segments, PassThrough), segments
    filled = fill_segments(b"." * BASE + body, segments, lambda _: TOKEN)
    assert quopri.decodestring(filled) == applied(quopri.decodestring(body), edits)
    return filled


def applied(text: bytes, edits: tuple[Edit, ...]) -> bytes:
    for edit in reversed(edits):
        new = b"".join(TOKEN if isinstance(piece, Slot) else piece for piece in edit.pieces)
        text = text[: edit.start] + new + text[edit.end :]
    return text


def put(at: int, *pieces: bytes | Slot) -> Edit:
    return Edit(at, at, pieces)


def cut(start: int, end: int) -> Edit:
    return Edit(start, end, ())


# --- decoding -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", b""),
        (b"a=3Db=\r\nc\r\n", b"a=bc\r\n"),
        (b"a=3db=\nc\n", b"a=bc\n"),
        (b"a=", b"a"),
        (b"a=0D=0Ab", b"a\r\nb"),
        (b"trailing \r\n", b"trailing \r\n"),
        (b"\xe9=C3=A9", b"\xe9\xc3\xa9"),
        (b"x" * 200, b"x" * 200),
    ],
)
def test_quoted_printable_is_decoded(body: bytes, text: bytes) -> None:
    assert decode_quoted(body) == text


@pytest.mark.parametrize(
    "body", [b"a=b", b"?x=1", b"==3D", b"a=4", b"a=4\r\n", b"= \r\n", b"==", b"=\rx\n", b"==\r\n"]
)
def test_an_equals_sign_that_encodes_nothing_is_broken(body: bytes) -> None:
    assert decode_quoted(body) is None


@given(
    st.lists(st.sampled_from([b"=", b"3D", b"4", b"f", b"\r\n", b"\n", b" ", b"x"])).map(b"".join)
)
def test_what_is_decoded_is_what_an_escape_or_soft_break_stands_for(body: bytes) -> None:
    whole = re.fullmatch(rb"(?:[^=]|=[0-9A-Fa-f]{2}|=\r?\n)*=?", body) is not None
    text = decode_quoted(body)
    assert (text is not None) == whole
    if text is not None:
        without = re.sub(rb"=(\r?\n|\Z)", b"", body)
        assert text == re.sub(
            rb"=([0-9A-Fa-f]{2})", lambda match: bytes.fromhex(match[1].decode()), without
        )


# --- splicing -------------------------------------------------------------------------------------


def test_a_slot_is_the_token_itself() -> None:
    segments = splice_quoted(b"ab", BASE, b"\r\n", [put(1, b"xy", BLANK, b"zz")])
    assert isinstance(segments, tuple)
    slot = segments[2]
    assert (slot.kind, slot.number, slot.html) == (SlotKind.LINK, 7, False)
    assert slot.encoding is SlotEncoding.LITERAL


def test_what_fits_is_put_on_the_line() -> None:
    assert splice(b"a=3Db", put(2, b"h=", BLANK, b".g")) == b"a=3Dh=3D" + TOKEN + b".gb"


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (0, 1, b"X=3D=\r\n=C3=A9b"),
        (1, 2, b"aX=\r\n=C3=A9b"),
        (2, 4, b"a=3DXb"),
        (4, 5, b"a=3D=\r\n=C3=A9X"),
        (2, 2, b"a=3DX=\r\n=C3=A9b"),
    ],
)
def test_borders_are_found_between_escapes_and_soft_breaks(
    start: int, end: int, expected: bytes
) -> None:
    assert splice(b"a=3D=\r\n=C3=A9b", Edit(start, end, (b"X",))) == expected


def test_a_long_literal_is_broken_before_a_character_and_no_line_is_over_76() -> None:
    filled = splice(b"a" * 70 + b"\r\n", put(70, b"b" * 4 + b"=" + b"c" * 100))
    assert filled == b"\r\n".join(
        [b"a" * 70 + b"b" * 4 + b"=", b"=3D" + b"c" * 72 + b"=", b"c" * 28, b""]
    )


@pytest.mark.parametrize("before", range(30, 76))
def test_the_character_before_a_token_is_on_its_line(before: int) -> None:
    filled = splice(b"a" * before + b"\r\n", put(before, b"x=", BLANK, b"=y"))
    lines = filled.split(b"\r\n")
    assert all(len(line) <= 76 for line in lines)
    assert any(b"=3D" + TOKEN in line for line in lines)


def test_no_line_of_ours_begins_with_a_dash_or_dot() -> None:
    filled = splice(b"a" * 74 + b"\r\n", put(74, b"b--", BLANK, b".-" * 60))
    for line in filled.split(b"\r\n")[1:]:
        assert not line.startswith((b"-", b"."))


@pytest.mark.parametrize(
    ("kept", "line"),
    [(b"--b", b"b"), (b"..b", b"b"), (b"From x", b"rom x"), (b"-.=2Db", b"=2Db"), (b"b--", b"b--")],
)
def test_a_line_of_kept_text_does_not_begin_with_what_others_would_alter(
    kept: bytes, line: bytes
) -> None:
    body = b"a" + kept + b"k" * 68 + b"\r\n"
    filled = splice(body, put(1, b"z" * 14))
    assert filled.split(b"\r\n")[1] == line + b"k" * 68


def test_kept_text_that_begins_a_line_already_may_begin_it_again() -> None:
    assert splice(b"a\r\n--b" + b"c" * 73, put(3, b"d")) == b"a\r\nd=\r\n--b" + b"c" * 73


def test_kept_text_of_nothing_but_dashes_leaves_no_place_for_a_break() -> None:
    body = b"a" + b"-" * 70 + b"\r\n"
    found = splice_quoted(body, BASE, b"\r\n", [put(1, b"z" * 30)])
    assert found == PassThrough(PassReason.LINE_TOO_LONG, "no place to break a line of 76")


def test_what_is_taken_out_leaves_the_rest_of_the_line() -> None:
    assert splice(b"abc=\r\ndef\r\n", cut(1, 2)) == b"ac=\r\ndef\r\n"
    assert splice(b"abc=\r\ndef\r\n", cut(2, 4)) == b"abef\r\n"


def test_lines_joined_by_what_is_taken_out_are_broken_again() -> None:
    assert splice(b"a" * 70 + b"x=\r\n" + b"b" * 70, cut(70, 71)) == (
        b"a" * 70 + b"=\r\n" + b"b" * 70
    )
    assert splice(b"a" * 70 + b"x=\r\ny" + b"b" * 70, cut(70, 72)) == (
        b"a" * 70 + b"=\r\n" + b"b" * 70
    )


def test_two_full_lines_can_not_be_joined() -> None:
    body = b"a" * 76 + b"\r\n" + b"b" * 70
    assert isinstance(splice_quoted(body, BASE, b"\r\n", [cut(76, 78)]), PassThrough)


def test_kept_text_that_no_break_may_precede_needs_room_on_our_line() -> None:
    body = b"a" * 74 + b"x=\r\ny---" + b"b" * 60
    assert isinstance(splice_quoted(body, BASE, b"\r\n", [cut(74, 76)]), PassThrough)


def test_a_full_line_is_broken_before_one_of_its_last_characters() -> None:
    full = b"a" * 71 + b"=41.."
    filled = splice(full + b"\r\n", put(74, b"zz"))
    assert filled == b"a" * 71 + b"=\r\n=41..zz\r\n"


def test_a_full_line_of_dashes_can_not_be_broken_at_its_end() -> None:
    body = b"-" * 76 + b"\r\n"
    assert isinstance(splice_quoted(body, BASE, b"\r\n", [put(76, b"zz")]), PassThrough)


def test_a_line_that_is_too_long_already_may_stay_as_long() -> None:
    body = b"a" * 300 + b"x" + b"b" * 300 + b"\r\n"
    assert splice(body, cut(300, 301)) == b"a" * 300 + b"b" * 300 + b"\r\n"
    assert splice(body, Edit(300, 301, (b"zz", BLANK, b"zz"))) == (
        b"a" * 300 + b"=\r\nzz" + TOKEN + b"zz" + b"b" * 300 + b"\r\n"
    )


def test_white_space_that_comes_to_the_end_of_a_line_is_kept_by_a_soft_break() -> None:
    assert splice(b"a x\r\nb", cut(2, 3)) == b"a =\r\n\r\nb"
    assert splice(b"a\r\nb", put(1, b"\t")) == b"a=09\r\nb"
    assert splice(b"a\r\nb", put(1, b"z ")) == b"a" + b"z =\r\n\r\nb"
    assert splice(b"a x", cut(2, 3)) == b"a =\r\n"


@pytest.mark.parametrize("end", [b"\r\n", b"\t \r\n", b""])
def test_beside_white_space_at_the_end_of_a_line_nothing_is_put(end: bytes) -> None:
    found = splice_quoted(b"a " + end, BASE, b"\r\n", [put(2, b"zz")])
    assert isinstance(found, PassThrough)
    assert found.reason is PassReason.BROKEN_ENCODING
    assert splice(b"a " + end, put(1, b"zz")) == b"azz " + end


def test_line_ends_of_a_literal_are_those_of_the_text() -> None:
    assert splice(b"ab", put(1, b"x \r\ny\xc3=")) == b"ax=20\r\ny=C3=3Db"
    assert splice(b"a b", Edit(2, 3, (b"\r\n\xe9",))) == b"a =\r\n\r\n=E9"
    assert splice(b"ab", put(1, b"x\ny"), line_end=b"\n") == b"ax\nyb"
    assert splice(b"ab", put(1, b"x\ny")) == b"ax=0Ayb"


def test_edits_that_touch_are_laid_out_one_after_the_other() -> None:
    edits = (cut(0, 2), put(2, b"x" * 40), put(2, b"y" * 40), cut(2, 3))
    assert splice(b"a =\r\nb\r\n", *edits) == (
        b"x" * 40 + b"y" * 35 + b"=\r\n" + b"y" * 5 + b"\r\n"
    )


def test_between_two_edits_of_a_line_there_is_room_for_a_break() -> None:
    body = b"a" * 10 + b"b" * 60 + b"\r\n"
    filled = splice(body, put(10, b"x" * 5), put(70, b"y" * 5))
    assert filled == b"a" * 10 + b"x" * 5 + b"b" * 60 + b"=\r\nyyyyy\r\n"


def test_a_dangling_soft_break_stays_at_the_end() -> None:
    assert splice(b"ab=", put(2, b"zz")) == b"abzz="
