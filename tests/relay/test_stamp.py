import base64
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.address import parse_address
from ledger.mode import TrackingMode
from ledger.token import HitKind, TokenKey, plan_tokens, read_token, write_token, write_tokens
from ledger.token import Token as Said
from relay.mail import Copy, Recipient, RecipientType
from relay.stamp import prepare_layout, stamp_copy, stamp_prepared
from relay.template import Layout, Link, Slot, SlotEncoding, SlotKind, Span, Template
from relay.verdict import Clicks

_KEY = TokenKey(3, b"k" * 32)
_RECIPIENT = Recipient(parse_address("b@b.example"), RecipientType.TO)
_PIXEL = Slot(SlotKind.PIXEL, 0)
_ENCODED = Slot(SlotKind.LINK, 2, SlotEncoding.BASE64, lead=b"ab", tail=b"c")
_TEMPLATE = Template(
    b"0123456789",
    (
        Layout(
            opens=True,
            clicks=Clicks.BOTH,
            segments=(
                Span(0, 3),
                b"<",
                Slot(SlotKind.LINK, 1, html=False),
                Span(5, 6),
                _ENCODED,
                b">",
                _PIXEL,
                Span(6, 10),
            ),
        ),
    ),
    "https://t.example",
    (
        Link(1, "1", "https://x.example/1", b"x.example/1", True, "one"),
        Link(2, "1", "http://x.example/2", b"x.example/2", False, "two"),
    ),
)


def _copy(copy_id: int = 5, mode: TrackingMode = TrackingMode.INDIVIDUAL) -> Copy:
    return Copy(copy_id, "s", mode, 0, 3, (_RECIPIENT,))


def _token(kind: HitKind, slot: int, destination: bytes = b"", **more: bool) -> bytes:
    return write_token(_KEY, Said(kind, 3, 5, slot, **more), destination)


@pytest.mark.parametrize("mode", [TrackingMode.INDIVIDUAL, TrackingMode.ANONYMOUS])
def test_every_blank_gets_its_token_in_its_encoding(mode: TrackingMode) -> None:
    anonymous = mode is TrackingMode.ANONYMOUS
    one = _token(HitKind.CLICK, 1, b"x.example/1", https=True, html=False, anonymous=anonymous)
    two = _token(HitKind.CLICK, 2, b"x.example/2", anonymous=anonymous)
    pixel = _token(HitKind.OPEN, 0, anonymous=anonymous)
    assert stamp_copy(_TEMPLATE, _copy(mode=mode), _KEY) == b"".join(
        (b"012<", one, b"5", base64.b64encode(b"ab" + two + b"c"), b">", pixel, b"6789")
    )


def test_a_copy_without_layout_is_the_original() -> None:
    copy = replace(_copy(), layout=None)
    assert stamp_copy(_TEMPLATE, copy, _KEY) == b"0123456789"


def test_a_key_that_is_not_the_copys_is_a_fault() -> None:
    with pytest.raises(AssertionError):
        stamp_copy(_TEMPLATE, _copy(), TokenKey(4, b"k" * 32))


@given(st.integers(0, 2**63 - 1), st.sampled_from(TrackingMode))
def test_law_the_same_template_copy_and_key_give_the_same_bytes(
    copy_id: int, mode: TrackingMode
) -> None:
    copy = _copy(copy_id, mode)
    prepared = prepare_layout(_TEMPLATE, 0, anonymous=mode is TrackingMode.ANONYMOUS)
    first = stamp_prepared(prepared, copy, _KEY)
    assert first == stamp_prepared(prepared, copy, _KEY) == stamp_copy(_TEMPLATE, copy, _KEY)


@given(st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1))
def test_law_two_copies_share_no_token(one: int, other: int) -> None:
    if one != other:
        stamped = [stamp_copy(_TEMPLATE, _copy(each), _KEY) for each in (one, other)]
        assert stamped[0][4:40] != stamped[1][4:40]
        assert stamped[0] != stamped[1]


_SAID = st.builds(
    Said,
    kind=st.sampled_from(HitKind),
    key_id=st.just(3),
    copy_id=st.just(9),
    slot=st.integers(0, 4095),
    https=st.booleans(),
    html=st.booleans(),
    anonymous=st.booleans(),
)


@given(st.lists(st.tuples(_SAID, st.binary(max_size=20))))
def test_law_tokens_written_together_are_what_write_token_returns_for_each(
    wanted: list[tuple[Said, bytes]],
) -> None:
    plan = plan_tokens((said for said, _ in wanted), (destination for _, destination in wanted))
    together = write_tokens(_KEY, 9, plan)
    assert together == b"".join(write_token(_KEY, *each) for each in wanted)
    for number, (said, destination) in enumerate(wanted):
        text = together[number * 36 : number * 36 + 36]
        assert read_token({3: _KEY}, said.kind, text, destination) == said
