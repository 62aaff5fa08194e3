import re

from hypothesis import given
from hypothesis import strategies as st

from relay.outgoing import double_dots, lay_out, make_outgoing
from relay.template import Layout, Segment, Slot, SlotKind, Span
from relay.verdict import Clicks

_RECEIVED = b"Received: x\r\n"
_TOKEN = b"T" * 36


def _fill(segments: tuple[Segment, ...], original: bytes) -> bytes:
    return Layout(opens=True, clicks=Clicks.HTML, segments=segments).fill(original, _TOKEN)


def test_dropped_fields_are_gone_and_received_stands_first() -> None:
    raw = b"From: a\r\nBcc: b\r\n c\r\nTo: d\r\n\r\n.body\r\n..x\r\n"
    body = raw.index(b".body")
    outgoing = make_outgoing(raw, body, _RECEIVED, [(9, 21)])
    assert outgoing.wire == b"Received: x\r\nFrom: a\r\nTo: d\r\n\r\n..body\r\n...x\r\n"
    assert outgoing.text == b"Received: x\r\nFrom: a\r\nTo: d\r\n\r\n.body\r\n..x\r\n"
    assert outgoing.text[: outgoing.body].endswith(b"\r\n\r\n")


def test_a_message_without_header_keeps_its_first_line_in_its_body() -> None:
    assert make_outgoing(b"hello\r\n", 0, _RECEIVED, []).wire == _RECEIVED + b"\r\nhello\r\n"
    assert make_outgoing(b".\r\n", 0, _RECEIVED, []).wire == _RECEIVED + b"\r\n..\r\n"
    assert make_outgoing(b"\r\nhello\r\n", 2, _RECEIVED, []).wire == _RECEIVED + b"\r\nhello\r\n"


def test_a_dot_is_doubled_where_it_begins_a_line_of_the_layout() -> None:
    raw = b"A: b\r\n\r\nx.y\r\n.z\r\n"
    outgoing = make_outgoing(raw, 8, _RECEIVED, [])
    text, size = outgoing.text, len(outgoing.text)
    dot, line = text.index(b".y"), text.index(b".z")
    broken = lay_out(outgoing, [Span(0, dot), b"=\r\n", Span(dot, size)])
    assert _fill(broken, outgoing.wire) == _RECEIVED + b"A: b\r\n\r\nx=\r\n..y\r\n..z\r\n"
    joined = lay_out(outgoing, [Span(0, line - 2), b"+", Span(line, size)])
    assert _fill(joined, outgoing.wire) == _RECEIVED + b"A: b\r\n\r\nx.y+.z\r\n"


def test_a_literal_that_begins_a_line_with_a_dot_has_it_doubled() -> None:
    outgoing = make_outgoing(b"A: b\r\n\r\nx\r\n", 8, _RECEIVED, [])
    body = outgoing.body
    laid = lay_out(outgoing, [Span(0, body), b"", b".a\r\n.b\r\n", Span(body, body + 3)])
    assert _fill(laid, outgoing.wire) == _RECEIVED + b"A: b\r\n\r\n..a\r\n..b\r\nx\r\n"


_PIECES = st.sampled_from([b".", b"..", b"x", b"\r\n", b".\r\n", b"\r\n.", b"=\r\n", b""])


@given(st.lists(_PIECES, max_size=12), st.data())
def test_law_joined_they_are_the_wire_form_of_what_the_given_ones_are_joined(
    lines: list[bytes], data: st.DataObject
) -> None:
    head = data.draw(st.sampled_from([b"A: b\r\nB: .\r\n.c\r\n\r\n", b"\r\n", b""]))
    body = b"".join(lines) + b"\r\n"
    outgoing = make_outgoing(head + body, len(head), _RECEIVED, [])
    begin = outgoing.body
    ends = [match.end() for match in re.finditer(rb"\r\n|[^\r]", body)]
    cuts = sorted(data.draw(st.sets(st.sampled_from([0, *ends]), max_size=4)))
    segments: list[Segment] = []
    position = 0
    for cut in cuts:
        segments.append(Span(position, begin + cut))
        segments.append(data.draw(_PIECES | st.just(Slot(SlotKind.LINK, 1))))
        skipped = data.draw(st.sampled_from([0, *(end - cut for end in ends if end > cut)]))
        position = begin + cut + skipped
        if any(later < position - begin for later in cuts if later > cut):
            position = begin + cut
    segments.append(Span(position, len(outgoing.text)))
    meant = _fill(tuple(segments), outgoing.text)
    wire = double_dots(meant, line_start=True)
    assert _fill(lay_out(outgoing, segments), outgoing.wire) == wire
    assert outgoing.wire == double_dots(outgoing.text, line_start=True)
