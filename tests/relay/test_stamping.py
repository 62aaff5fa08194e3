from datetime import UTC, datetime

import pytest
from structlog.testing import capture_logs

from ledger.address import parse_address
from ledger.mode import TrackingMode
from ledger.token import TokenKey
from relay import stamping
from relay.mail import Copy, Recipient, RecipientType, Signing
from relay.promise import Claim
from relay.retry import Tries
from relay.sign import Seal
from relay.stamp import stamp_copy
from relay.stamping import Stamping
from relay.template import Layout, Slot, SlotKind, Span, Template
from relay.verdict import Clicks

KEY = TokenKey(3, b"k" * 32)
ORIGINAL = b"Subject: x\r\n\r\n<img src=x>\r\n"
PIXEL = Layout(
    opens=True,
    clicks=Clicks.NONE,
    segments=(Span(0, 23), Slot(SlotKind.PIXEL, 0), Span(24, len(ORIGINAL))),
)


def claim(
    number: int, layout: int | None = 0, key_id: int = 3, signing: Signing | None = None
) -> Claim:
    to = Recipient(parse_address("b@example.org"), RecipientType.TO)
    return Claim(
        copy=Copy(number, f"S{number // 2}", TrackingMode.INDIVIDUAL, layout, key_id, (to,)),
        lease="L",
        sender=None,
        template=Template(ORIGINAL, (PIXEL,), "", signing=signing),
        tries=Tries(),
        received_at=datetime(2026, 11, 24, tzinfo=UTC),
        message_id=None,
        subject=None,
        account=None,
        smtputf8=False,
        body_8bit=False,
        delay_noticed=False,
    )


def test_each_copy_is_stamped_as_it_is_alone() -> None:
    ready = Stamping({3: KEY}, {})
    for number in [*range(100), *range(100)]:
        one = claim(number)
        assert ready.stamp(one) == stamp_copy(one.template, one.copy, KEY)
    assert len(ready._ready) == 16


def test_an_untracked_copy_is_the_original() -> None:
    assert Stamping({}, {}).stamp(claim(1, layout=None)) == ORIGINAL


def test_a_copy_whose_key_is_gone_is_the_original() -> None:
    assert Stamping({3: KEY}, {}).stamp(claim(1, key_id=4)) == ORIGINAL


def test_a_copy_that_can_not_be_stamped_is_the_original(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stamping, "stamp_prepared", lambda *_: 1 / 0)
    with capture_logs() as logs:
        assert Stamping({3: KEY}, {}).stamp(claim(1)) == ORIGINAL
    (line,) = logs
    assert (line["event"], line["log_level"], line["copy_id"]) == ("stamping.failed", "error", 1)
    assert line["fault"].startswith("ZeroDivisionError in relay.stamping, line ")


def test_a_lack_of_memory_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(stamping, "stamp_prepared", fail)
    with pytest.raises(MemoryError):
        Stamping({3: KEY}, {}).stamp(claim(1))


def test_a_copy_is_signed_at_the_instant_its_mail_was_accepted() -> None:
    signing = Signing("a.example", "s1")
    ready = Stamping({3: KEY}, {signing: lambda text: text[:8]})
    one = claim(1, signing=signing)
    seal = Seal(signing, one.received_at, lambda text: text[:8])
    assert ready.stamp(one) == stamp_copy(one.template, one.copy, KEY, seal) == ready.stamp(one)
    assert b" t=1795478400;" in ready.stamp(one)


def test_a_copy_whose_signer_is_gone_is_the_original() -> None:
    ready = Stamping({3: KEY}, {Signing("a.example", "s2"): bytes})
    with capture_logs() as logs:
        assert ready.stamp(claim(1, signing=Signing("a.example", "s1"))) == ORIGINAL
    assert [(line["event"], line["domain"], line["selector"]) for line in logs] == [
        ("signer.missing", "a.example", "s1")
    ]


def test_long_mail_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stamping, "_LONGEST_BYTES", len(ORIGINAL) - 1)
    ready = Stamping({3: KEY}, {})
    one = claim(1)
    assert ready.stamp(one) == stamp_copy(one.template, one.copy, KEY)
    assert not ready._ready
