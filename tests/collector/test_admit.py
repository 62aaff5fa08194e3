"""Which hits enter the record, and with how much of them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.admit import admit_hits
from collector.hit import Trace
from collector.kept import Judged, Seen, features_of, kept_of
from ledger.consent import Permit
from ledger.permits import Switch
from ledger.story import RecordedHit
from ledger.token import HitKind

AT = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
TRACE = Trace(AT, HitKind.OPEN, 0, "Canary/1.0", {"accept-language": "sv"}, "network", ())
SEEN = Seen(TRACE, "203.0.113.0", altered=True)


def hit(copy_id: int, at: datetime = AT) -> RecordedHit:
    features = features_of(replace(SEEN, trace=replace(TRACE, at=at)))
    return RecordedHit(f"H{copy_id}", at, HitKind.OPEN, copy_id, 0, True, None, features)


@given(st.lists(st.sampled_from([None, *Permit])))
def test_law_nothing_of_a_withdrawn_recipient_enters(said: list[Permit | None]) -> None:
    """Law: of a withdrawn recipient's hit nothing enters, and of a copy one of whose recipients
    denies nothing that tells who it was."""
    batch = [hit(number) for number in range(len(said))]
    permits = {number: permit for number, permit in enumerate(said) if permit is not None}
    admission = admit_hits(batch, permits, Switch())
    assert admission.waiting == [one for one in batch if said[one.copy_id] is None]
    assert [one.copy_id for one in admission.entering] == [
        number for number, permit in permits.items() if permit is not Permit.NOTHING
    ]
    for one in admission.entering:
        if said[one.copy_id] is Permit.FULL:
            assert one == batch[one.copy_id]
        else:
            kept = kept_of(one)
            assert isinstance(kept, Judged)
            assert kept.altered
            assert "Canary" not in str(one)
            assert "203.0.113" not in str(one)


def test_who_was_not_looked_for_anyway_is_left_as_he_is() -> None:
    judged = admit_hits([hit(1)], {1: Permit.ANONYMOUS}, Switch()).entering
    assert admit_hits(judged, {1: Permit.ANONYMOUS}, Switch()).entering == judged


@pytest.mark.parametrize(("hours", "enters"), [(-1, True), (0, False), (1, False), (2, True)])
def test_while_tracking_is_off_nothing_enters_and_nothing_waits(hours: int, enters: bool) -> None:
    off = Switch(((AT, False), (AT + timedelta(hours=2), True)))
    at = AT + timedelta(hours=hours)
    admission = admit_hits([hit(1, at), hit(2, at)], {1: Permit.FULL}, off)
    assert (len(admission.entering), len(admission.waiting)) == (enters, enters)
