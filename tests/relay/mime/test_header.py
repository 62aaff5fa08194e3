import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.mime.header import MAX_SHOWN_BYTES, decode_text, parse_structured, read_header

LINES = st.lists(
    st.one_of(
        st.sampled_from(
            [
                b"Subject: one",
                b"SUBJECT : two",
                b" folded",
                b"\t",
                b"no field",
                b"From a@b Mon Jan  1",
                b"",
                b":",
                b"X:\xff",
            ]
        ),
        st.binary(max_size=12),
    ),
    max_size=12,
)


@given(LINES, st.sampled_from([b"\r\n", b"\n"]), st.integers(0, 20))
def test_fields_cover_the_block_without_gaps(
    lines: list[bytes], line_end: bytes, start: int
) -> None:
    """
    Law: it never raises.
    Law: the fields cover `raw[start:end]`; `raw[end:body]` is the empty line, or nothing.
    """
    raw = line_end.join(lines)
    start = min(start, len(raw))
    header = read_header(raw, start)
    at = start
    for field in header.fields:
        assert field.start == at < field.end
        at = field.end
        header.values(field.name)
    assert header.end == at
    assert raw[header.end : header.body] in (b"", b"\n", b"\r\n")
    assert header.body <= len(raw)


@pytest.mark.parametrize("line_end", [b"\r\n", b"\n"])
def test_a_header_ends_with_the_empty_line(line_end: bytes) -> None:
    raw = line_end.join([b"A: 1", b"b : 2", b"", b"C: 3"])
    header = read_header(raw)
    assert [field.name for field in header.fields] == [b"a", b"b"]
    assert raw[header.body :] == b"C: 3"
    assert raw[header.end : header.body] == line_end


def test_a_folded_field_is_one_field_and_its_value_one_line() -> None:
    header = read_header(b"Subject: one\r\n two\r\n\tthree\r\nTo: x\r\n\r\n")
    assert header.value(b"subject") == b"one two\tthree"
    assert header.value(b"to") == b"x"
    assert header.value(b"cc") is None


def test_all_fields_of_a_name_are_found_whatever_their_case() -> None:
    header = read_header(b"Received: a\nRECEIVED: b\nreceived : c\n\n")
    assert header.values(b"received") == (b"a", b"b", b"c")


def test_a_line_of_white_space_continues_a_field() -> None:
    # RFC 5322 4.2, obs-FWS
    header = read_header(b"Subject: a\r\n \r\nTo: b\r\n\r\n")
    assert header.values(b"subject") == (b"a",)
    assert header.values(b"to") == (b"b",)


def test_a_line_that_is_no_field_is_kept_without_a_name() -> None:
    header = read_header(b"To: a\r\nno field here\r\n folded\r\nBcc: b\r\n\r\n")
    assert [field.name for field in header.fields] == [b"to", b"", b"bcc"]


def test_an_mbox_line_may_come_first() -> None:
    header = read_header(b"From a@b Mon Jan  1 00:00:00 2026\nTo: a\n\nbody")
    assert [field.name for field in header.fields] == [b"", b"to"]


@pytest.mark.parametrize("raw", [b"no field\r\nTo: a\r\n\r\n", b" folded\r\nTo: a\r\n", b"", b"x"])
def test_where_the_first_line_is_no_field_there_is_no_header(raw: bytes) -> None:
    header = read_header(raw)
    assert header.fields == ()
    assert header.body == 0


def test_a_header_without_an_empty_line_reaches_to_the_end() -> None:
    header = read_header(b"To: a\r\nCc: b")
    assert header.end == header.body == 12


def test_a_header_ends_where_it_is_told_to() -> None:
    header = read_header(b"xxTo: a\r\nCc: b\r\n\r\n", 2, 9)
    assert [field.name for field in header.fields] == [b"to"]
    assert header.end == header.body == 9


# --- for display ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"plain", "plain"),
        (b"=?utf-8?q?caf=C3=A9?=", "café"),
        (b"=?iso-8859-1?B?Y2Fm6Q==?= x", "café x"),
        (b"=?utf-8?q?a?= =?utf-8?q?b?=", "ab"),
        (b"=?no-such?q?abc?=", "=?no-such?q?abc?="),
        (b"=?utf-8?b?a?=", "=?utf-8?b?a?="),
        (b"=?iso-8859-\xe91?q?a?=", "=?iso-8859-é1?q?a?="),
        ("naïve".encode(), "naïve"),
        (b"na\xefve", "naïve"),
        (b"=?utf-8?q?a=0Ab=00c?=", "a b c"),
        (b"=?utf-7?q?+2AA-?=", ""),
    ],
)
def test_encoded_words_are_decoded_for_display(value: bytes, text: str) -> None:
    assert decode_text(value) == text


@given(st.binary(max_size=60).map(lambda some: b"=?" + some) | st.binary(max_size=60))
def test_what_is_displayed_can_be_stored(value: bytes) -> None:
    """Law: it never raises, and what comes back can be encoded as UTF-8."""
    decode_text(value).encode()


def test_only_the_beginning_of_an_endless_value_is_decoded() -> None:
    assert len(decode_text(b"=?utf-8?q?a?= " * 10_000)) <= MAX_SHOWN_BYTES


# --- parameters -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "main", "parameters"),
    [
        (b"Text/HTML; Charset=UTF-8", "text/html", {"charset": "UTF-8"}),
        (b"text/plain; charset=us-ascii (Plain text)", "text/plain", {"charset": "us-ascii"}),
        (b'text/plain (a (nested) \\) comment); charset="x"', "text/plain", {"charset": "x"}),
        (
            b'a/b; boundary="semi;colon \\"quoted\\" \\\\"',
            "a/b",
            {"boundary": 'semi;colon "quoted" \\'},
        ),
        (b'a/b; name="never closed; x=1', "a/b", {"name": "never closed; x=1"}),
        (b'a/b; name="ends in \\', "a/b", {"name": "ends in "}),
        (b"a/b; name=file(1).pdf", "a/b", {"name": "file(1).pdf"}),
        (b"a/b; (comment) charset=x", "a/b", {"charset": "x"}),
        (b"a/b (never closed; charset=(x", "a/b (never closed", {"charset": "(x"}),
        (b"a/b; flag; =; charset=x;;", "a/b", {"": "", "charset": "x"}),
        (b"a/b; x=1; X=2", "a/b", {"x": "1"}),
        (b"", "", {}),
        (b"a/b; n*0=one; n*1=two", "a/b", {"n": "onetwo"}),
        (b"a/b; n*1=two; n*0=one; n*3=lost", "a/b", {"n": "onetwo"}),
        (b"a/b; n*=utf-8'en'caf%C3%A9", "a/b", {"n": "café"}),
        (b"a/b; n*0*=utf-8''caf%C3; n*1*=%A9; n*2=%20", "a/b", {"n": "café%20"}),
        (b"a/b; n*=''plain", "a/b", {"n": "plain"}),
        (b"a/b; n*=no-such''%E9", "a/b", {"n": "é"}),
        (b"a/b; n*=utf-8''%E9", "a/b", {"n": "é"}),
        (b"a/b; n*=%41", "a/b", {"n": "A"}),
        (b"a/b; n*99999=x; n=y", "a/b", {"n*99999": "x", "n": "y"}),
    ],
)
def test_parameters_are_read(value: bytes, main: str, parameters: dict[str, str]) -> None:
    found = parse_structured(value)
    assert found.main == main
    assert found.parameters == parameters


@pytest.mark.parametrize(
    ("value", "repeated"),
    [
        (b"a/b; x=1; x=2", {"x"}),
        (b"a/b; x=1; x=1", set()),
        (b"a/b; x=1; x*0=1; x*1=2", {"x"}),
        (b"a/b; x=12; x*0=1; x*1=2", set()),
    ],
)
def test_a_parameter_given_twice_and_differently_is_named(value: bytes, repeated: set[str]) -> None:
    assert parse_structured(value).repeated == repeated


@given(st.lists(st.sampled_from(list(b'()";=*\\ a0%\xff')), max_size=40).map(bytes) | st.binary())
def test_any_value_is_read(value: bytes) -> None:
    """Law: it never raises."""
    parse_structured(value)


@pytest.mark.parametrize("value", [b"(", b"()", b'"a', b";a=b", b"(a", b"\\", b'x="\\'])
def test_long_values_are_read_in_linear_time(value: bytes) -> None:
    started = time.process_time()
    parse_structured(value * 20_000)
    assert time.process_time() - started < 1  # quadratic: minutes
