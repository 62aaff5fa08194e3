import base64
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from relay.mime.quanta import decode_base64, splice_base64
from relay.mime.segments import fill_segments
from relay.template import Edit, Slot, SlotEncoding, SlotKind, Span

TOKEN = b"--token-that-could-be-a-delimiter-36"
BLANK = Slot(SlotKind.LINK, 7, html=False)
LINK = (b"https://t.example/c/", BLANK, b"/a.example")
BASE = 5


def write(slot: Slot) -> bytes:
    assert slot.encoding is SlotEncoding.BASE64
    return base64.b64encode(slot.lead + TOKEN + slot.tail)


def splice(body: bytes, *edits: Edit, line_end: bytes = b"\r\n") -> bytes:
    text = decode_base64(body)
    assert text is not None
    segments = splice_base64(text, body, BASE, line_end, edits)
    filled = fill_segments(b"." * BASE + body, segments, write)
    assert decode_base64(filled) == applied(text, edits)
    return filled


def applied(text: bytes, edits: tuple[Edit, ...]) -> bytes:
    for edit in reversed(edits):
        new = b"".join(TOKEN if isinstance(piece, Slot) else piece for piece in edit.pieces)
        text = text[: edit.start] + new + text[edit.end :]
    return text


def encode(text: bytes, width: int = 76, line_end: bytes = b"\r\n") -> bytes:
    encoded = base64.b64encode(text)
    return line_end.join(encoded[at : at + width] for at in range(0, len(encoded), width))


def put(at: int, *pieces: bytes | Slot) -> Edit:
    return Edit(at, at, pieces)


# --- decoding -------------------------------------------------------------------------------------


@given(
    st.binary(max_size=300),
    st.sampled_from([4, 60, 64, 72, 76, 500]),
    st.sampled_from([b"\r\n", b"\n"]),
    st.integers(0, 3),
)
def test_encoding_again_gives_the_same_characters(
    text: bytes, width: int, line_end: bytes, more: int
) -> None:
    """Law: encoding what came back gives the characters of the body again."""
    body = encode(text, width, line_end) + line_end * more
    found = decode_base64(body)
    assert found == text
    assert base64.b64encode(found) == b"".join(body.split())


@given(
    st.lists(st.sampled_from([b"QUJD", b"QQ==", b"QUI=", b"=", b"\r\n", b"\n", b" ", b"-", b"A"]))
)
@example([b"=", b"QQ==", b"=", b"=", b"="])  # as many padding characters as the first `=` skips
def test_what_is_decoded_is_all_there_was(parts: list[bytes]) -> None:
    """Law: encoding what came back gives the characters of the body again."""
    body = b"".join(parts)
    found = decode_base64(body)
    if found is not None:
        assert base64.b64encode(found) == body.replace(b"\r", b"").replace(b"\n", b"")


@pytest.mark.parametrize(
    "body",
    [
        b"QUJ",  # no whole quantum
        b"QUJDR",
        b"QUJD QUJD",  # something else than line ends
        b"QUJD\r\n--\r\nfooter of a list",
        b"!!!!",
        b"QQ==QUJD",  # padding in the middle
        b"QQ==\r\nQUJD",
        b"QUJDQ===",
        b"====",
        b"QR==",  # bits left over that are not zero
        b"QUK=",
        b"Q\r\nQ==",  # the last quantum on two lines
    ],
)
def test_what_readers_may_decode_differently_is_broken(body: bytes) -> None:
    assert decode_base64(body) is None


def test_an_empty_body_is_an_empty_text() -> None:
    assert decode_base64(b"") == decode_base64(b"\r\n\r\n") == b""


# --- splicing -------------------------------------------------------------------------------------


@pytest.mark.parametrize("before", range(57, 120))
def test_a_slot_is_whole_quanta_on_one_line(before: int) -> None:
    text = b"x" * before + b"<a>" + b"y" * 90
    body = encode(text)
    segments = splice_base64(text, body, BASE, b"\r\n", [put(before, *LINK)])
    (slot,) = [segment for segment in segments if isinstance(segment, Slot)]
    written = write(slot)
    assert len(written) in (48, 52)
    assert not written.endswith(b"=")
    assert (slot.kind, slot.number, slot.html) == (SlotKind.LINK, 7, False)
    lines = splice(body, put(before, *LINK)).split(b"\r\n")
    assert sum(written in line for line in lines) == 1
    assert max(map(len, lines)) <= 76


def test_before_the_first_edit_the_encoded_bytes_are_kept() -> None:
    text = bytes(range(97, 123)) * 20
    body = encode(text, 64) + b"\r\n\r\n"
    segments = splice_base64(text, body, BASE, b"\r\n", [put(101, b"!")])
    # 101 is in the 34th quantum, whose first character is the 133rd, with two line ends before.
    assert segments[0] == Span(BASE, BASE + 132 + 4)
    assert segments[-1] == Span(BASE + len(body) - 4, BASE + len(body))


def test_lines_go_on_as_long_as_the_first_one() -> None:
    text = b"x" * 480
    for width in (60, 64, 76):
        lines = splice(encode(text, width) + b"\r\n", put(100, b"!")).split(b"\r\n")
        assert {len(line) for line in lines[:-2]} == {width}


def test_new_lines_end_as_told() -> None:
    filled = splice(encode(b"x" * 300, 76, b"\n") + b"\n", put(0, b"!"), line_end=b"\n")
    assert filled == encode(b"!" + b"x" * 300, 76, b"\n") + b"\n"


def test_lines_that_split_quanta_go_on_in_whole_ones() -> None:
    filled = splice(encode(b"x" * 300, 75), put(100, b"!"))
    assert filled.startswith(encode(b"x" * 300, 75)[:134])
    lines = filled.split(b"\r\n")
    assert [len(line) for line in lines[:4]] == [75, 69, 72, 72]


def test_where_lines_are_shorter_a_slot_has_a_longer_one() -> None:
    lines = splice(encode(b"x" * 90, 20), put(31, *LINK)).split(b"\r\n")
    assert sorted({len(line) for line in lines}) == [8, 12, 20, 48]


def test_a_single_short_line_may_grow_to_76() -> None:
    lines = splice(encode(b"x" * 30), put(30, b"y" * 60)).split(b"\r\n")
    assert [len(line) for line in lines] == [76, 44]


def test_a_single_long_line_stays_the_longest() -> None:
    lines = splice(encode(b"x" * 300, 1000), put(3, *LINK)).split(b"\r\n")
    assert [len(line) for line in lines] == [400, 88]


def test_an_empty_body_can_be_filled() -> None:
    assert splice(b"\r\n", put(0, b"abc")) == b"YWJj\r\n"
    assert splice(b"", put(0, *LINK)).endswith(b"==") is (
        len(b"".join((LINK[0], LINK[2]))) % 3 == 1
    )


def test_all_can_be_taken_out() -> None:
    assert splice(encode(b"x" * 30) + b"\r\n", Edit(0, 30, ())) == b"\r\n"


def test_padding_is_renewed_behind_the_last_edit() -> None:
    assert splice(b"QUI=\r\n", put(2, b"CD")) == b"QUJDRA==\r\n"
    assert splice(b"QUJD\r\n", put(3, b"D")) == b"QUJDRA==\r\n"


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=6), st.data())
def test_edits_are_applied_and_lines_stay_short(
    text: bytes, places: list[int], data: st.DataObject
) -> None:
    width = data.draw(st.sampled_from([76, 72, 60, 4, 500]))
    body = encode(text, width)
    borders = sorted(min(place, len(text)) for place in places)
    edits = [
        Edit(
            start, data.draw(st.sampled_from([start, end])), data.draw(st.sampled_from([(), LINK]))
        )
        for start, end in pairwise(borders)
    ]
    if not edits:
        return
    filled = splice(body, *edits)
    longest = max(map(len, body.split(b"\r\n")))
    assert max(map(len, filled.split(b"\r\n"))) <= max(76, longest)
