import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.mail import Entity
from relay.mime.entity import MAX_DEPTH, MAX_PARTS, leaves, parse_entity, walk_entities


def message(*lines: bytes, line_end: bytes = b"\r\n") -> bytes:
    return line_end.join([*lines, b""])


def mixed(boundary: bytes, *lines: bytes, kind: bytes = b"mixed") -> tuple[bytes, ...]:
    return (b"Content-Type: multipart/%b; boundary=%b" % (kind, boundary), b"", *lines)


def tree(entity: Entity) -> list[tuple[str, str]]:
    return [(part.path, part.media_type) for part in walk_entities(entity)]


def bodies(raw: bytes) -> list[bytes]:
    return [raw[leaf.body : leaf.end] for leaf in leaves(parse_entity(raw))]


HTML = (b"Content-Type: text/html; charset=UTF-8", b"", b"<p>")
TEXT = (b"", b"text")

# --- laws -----------------------------------------------------------------------------------------

LINES = st.one_of(
    st.sampled_from(
        [
            b"Content-Type: multipart/mixed; boundary=a",
            b'Content-Type: multipart/alternative; boundary="b "',
            b"Content-Type: multipart/digest; boundary=a-b",
            b"Content-Type: text/html",
            b"Content-Type: multipart/mixed",
            b"Content-Transfer-Encoding: base64",
            b"",
            b" ",
            b"--a",
            b"--a--",
            b"--b \t",
            b"--b--",
            b"--a-b",
            b"--a-b--",
            b"--",
            b"text",
        ]
    ),
    st.binary(max_size=8),
)


@given(st.lists(LINES, max_size=40), st.sampled_from([b"\r\n", b"\n"]))
def test_offsets_are_in_order_whatever_the_bytes(lines: list[bytes], line_end: bytes) -> None:
    """Law: it never raises, and offsets are in order and within those of the parent."""
    raw = line_end.join([b"Content-Type: multipart/mixed; boundary=a", *lines])
    root = parse_entity(raw)
    assert (root.start, root.end) == (0, len(raw))
    for part in walk_entities(root):
        assert part.start <= part.body <= part.end
        starts = [part.body]
        for child in part.children:
            starts += [child.start, child.end]
        assert all(before <= after for before, after in pairwise([*starts, part.end]))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message(raw: bytes) -> None:
    """Law: it never raises, and offsets are in order and within those of the parent."""
    assert parse_entity(raw).end == len(raw)


# --- what a header says ---------------------------------------------------------------------------


def test_a_message_without_mime_fields_is_plain_text() -> None:
    raw = message(b"Subject: x", b"", b"body")
    assert parse_entity(raw) == Entity(0, 14, 20, "text/plain", "7bit", "")


def test_what_a_header_says_is_read_in_lower_case() -> None:
    entity = parse_entity(
        message(
            b'Content-Type: TEXT/Html; CHARSET="UTF-8" (no comment)',
            b"Content-Transfer-Encoding: Quoted-Printable (yes)",
            b"Content-Disposition: ATTACHMENT; filename=x",
            b"",
        )
    )
    assert (entity.media_type, entity.charset) == ("text/html", "utf-8")
    assert (entity.encoding, entity.disposition) == ("quoted-printable", "attachment")
    assert not entity.opaque


def test_an_empty_field_says_nothing() -> None:
    entity = parse_entity(message(b"Content-Type:", b"Content-Transfer-Encoding:", b"", b"x"))
    assert (entity.media_type, entity.encoding, entity.opaque) == ("text/plain", "7bit", False)


@pytest.mark.parametrize(
    "fields",
    [
        (b"Content-Type: text",),
        (b"Content-Type: text/html charset=utf-8",),
        (b"Content-Type: text/html", b"Content-Type: text/plain"),
        (b"Content-Type: text/html; charset=a; charset=b",),
        (b"Content-Transfer-Encoding: 7bit", b"Content-Transfer-Encoding: base64"),
        (b"Content-Disposition: inline", b"Content-Disposition: attachment"),
        (b"Content-Type: multipart/mixed; boundary=a; boundary=b", b"", b"--a", b"", b"x"),
    ],
)
def test_what_is_not_said_clearly_is_opaque(fields: tuple[bytes, ...]) -> None:
    entity = parse_entity(message(*fields, b"", b"body"))
    assert entity.opaque
    assert entity.children == ()


def test_the_same_said_twice_is_clear() -> None:
    assert not parse_entity(message(b"Content-Type: text/html", *HTML[1:])).opaque


@pytest.mark.parametrize("raw", [b"Content-Type: text/html\r\n", b"text\r\n\r\nmore\r\n", b""])
def test_where_no_empty_line_parts_header_and_body_there_is_no_body_to_touch(raw: bytes) -> None:
    assert parse_entity(raw).opaque


def test_an_embedded_message_is_never_looked_into() -> None:
    inner = mixed(b"in", b"--in", *HTML, b"--in--")
    entity = parse_entity(message(b"Content-Type: message/rfc822", b"", *inner))
    assert (entity.children, entity.opaque) == ((), False)


# --- multiparts -----------------------------------------------------------------------------------


@pytest.mark.parametrize("line_end", [b"\r\n", b"\n"])
def test_the_line_end_before_a_delimiter_belongs_to_it(line_end: bytes) -> None:
    raw = message(
        *mixed(b"x", b"preamble", b"--x", *TEXT, b"--x \t", *HTML, b"", b"--x--", b"end"),
        line_end=line_end,
    )
    assert bodies(raw) == [b"text", b"<p>" + line_end]
    assert tree(parse_entity(raw)) == [
        ("1", "multipart/mixed"),
        ("1.1", "text/plain"),
        ("1.2", "text/html"),
    ]


def test_what_follows_the_closing_delimiter_is_no_part() -> None:
    raw = message(*mixed(b"x", b"--x", *TEXT, b"--x--", b"--x", *HTML))
    assert len(parse_entity(raw).children) == 1


def test_without_a_closing_delimiter_the_last_part_ends_with_the_message() -> None:
    assert bodies(message(*mixed(b"x", b"--x", *TEXT))) == [b"text\r\n"]


def test_a_delimiter_without_a_line_end_ends_the_message() -> None:
    raw = message(*mixed(b"x", b"--x", *TEXT))
    assert bodies(raw + b"--x--") == [b"text"]
    assert bodies(raw + b"--x") == [b"text", b""]


def test_an_outer_delimiter_ends_inner_parts() -> None:
    # RFC 2046 5.1.2
    inner = mixed(b"in", b"--in", *TEXT, kind=b"alternative")
    raw = message(*mixed(b"out", b"--out", *inner, b"--out", *HTML, b"--out--"))
    assert bodies(raw) == [b"text", b"<p>"]


def test_a_boundary_may_begin_with_that_of_the_outer_multipart() -> None:
    inner = mixed(b"x-1", b"--x-1", *TEXT, b"--x-1", *HTML, b"--x-1--")
    entity = parse_entity(message(*mixed(b"x", b"--x", *inner, b"--x--")))
    assert [part.path for part in leaves(entity)] == ["1.1.1", "1.1.2"]


def test_parts_of_an_inner_multipart_with_the_outer_boundary_are_parts_of_the_outer() -> None:
    inner = mixed(b"x", b"--x", *HTML, b"--x--")
    entity = parse_entity(message(*mixed(b"x", b"--x", *inner, b"--x--")))
    assert [(part.path, part.opaque) for part in leaves(entity)] == [("1.1", True), ("1.2", False)]


def test_a_delimiter_right_behind_another_has_an_empty_part_before_it() -> None:
    entity = parse_entity(message(*mixed(b"x", b"--x", b"--x", *HTML, b"--x--")))
    assert [(part.start == part.end, part.opaque) for part in leaves(entity)] == [
        (True, True),
        (False, False),
    ]


def test_parts_of_a_digest_are_messages_unless_they_say_otherwise() -> None:
    raw = message(*mixed(b"x", b"--x", b"", b"To: a", b"--x", *HTML, b"--x--", kind=b"digest"))
    assert [part.media_type for part in leaves(parse_entity(raw))] == [
        "message/rfc822",
        "text/html",
    ]


def test_a_boundary_in_quotes_may_end_in_spaces_that_do_not_count() -> None:
    lines = mixed(b'"a b  "', b"--a b", *HTML, b"--a b--")
    assert bodies(message(*lines)) == [b"<p>"]


@pytest.mark.parametrize(
    "raw",
    [
        message(b"Content-Type: multipart/mixed", b"", b"--", *HTML),
        message(b"Content-Type: multipart/mixed; boundary=", b"", b"--", *HTML),
        message(*mixed(b"x", b"x--x", b"--xx", *HTML, b" --x--")),
        message(*mixed(b"x", b"--x--", b"--x", *HTML)),
        message(b"Content-Type: multipart/mixed; boundary=x"),
    ],
)
def test_a_multipart_whose_parts_can_not_be_told_is_opaque(raw: bytes) -> None:
    entity = parse_entity(raw)
    assert (entity.media_type, entity.opaque, entity.children) == ("multipart/mixed", True, ())


# --- limits ---------------------------------------------------------------------------------------


def test_a_message_has_at_most_a_thousand_parts() -> None:
    within = parse_entity(message(*mixed(b"x", *((b"--x", *TEXT) * (MAX_PARTS - 1)))))
    assert len(list(walk_entities(within))) == MAX_PARTS
    assert parse_entity(message(*mixed(b"x", *((b"--x", *TEXT) * MAX_PARTS)))).opaque


def test_only_the_multipart_with_too_many_parts_is_opaque() -> None:
    inner = mixed(b"in", *((b"--in", *TEXT) * MAX_PARTS))
    entity = parse_entity(message(*mixed(b"x", b"--x", *inner, b"--x", *HTML, b"--x--")))
    assert [(part.path, part.opaque) for part in leaves(entity)] == [("1.1", True), ("1.2", False)]


def test_multiparts_in_each_other_are_followed_to_a_depth() -> None:
    lines = [line for depth in range(40) for line in (*mixed(b"b%d" % depth), b"--b%d" % depth)]
    parts = list(walk_entities(parse_entity(message(*lines, *TEXT))))
    assert len(parts) == MAX_DEPTH + 1
    assert [part.opaque for part in parts] == [False] * MAX_DEPTH + [True]


@pytest.mark.parametrize(
    "body",
    [b"--x\r\n\r\nhi\r\n", b"--x\r\n", b"--xX\r\n", b"--x", b"\r\n--", b"To: x\r\n", b"\n"],
)
def test_large_messages_are_parsed_in_linear_time(body: bytes) -> None:
    raw = message(*mixed(b"x")) + body * (8_000_000 // len(body))
    started = time.process_time()
    parse_entity(raw)
    assert time.process_time() - started < 1  # quadratic: hours
