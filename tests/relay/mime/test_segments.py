from relay.mime.segments import Draft, fill_segments
from relay.template import Slot, SlotKind, Span

SLOT = Slot(SlotKind.LINK, 1)


def test_stretches_that_touch_become_one() -> None:
    draft = Draft()
    draft.keep(0, 2)
    draft.keep(2, 2)
    draft.keep(2, 5)
    draft.keep(6, 7)
    assert draft.close() == (Span(0, 5), Span(6, 7))


def test_new_bytes_in_a_row_become_one_and_empty_ones_none() -> None:
    draft = Draft()
    draft.write(b"")
    draft.leave(SLOT)
    draft.write(b"a")
    draft.write(b"b")
    draft.keep(0, 1)
    draft.write(b"c")
    assert draft.close() == (SLOT, b"ab", Span(0, 1), b"c")


def test_segments_are_filled_from_the_original() -> None:
    segments = (Span(1, 3), b"-", SLOT)
    assert fill_segments(b"abcd", segments, lambda slot: b"%d" % slot.number) == b"bc-1"
