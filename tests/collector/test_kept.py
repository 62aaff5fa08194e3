import json
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from collector.hit import Classification, Trace
from collector.kept import Judged, Kept, Seen, day_of, features_of, kept_of
from ledger.event import Agent
from ledger.story import RecordedHit
from ledger.token import HitKind

AT = datetime(2026, 11, 23, 12, 34, 56, 789, tzinfo=UTC)
words = st.text(max_size=9)
kepts = st.one_of(
    st.builds(
        Seen,
        trace=st.builds(
            Trace,
            at=st.just(AT),
            kind=st.just(HitKind.CLICK),
            slot=st.just(3),
            agent=words,
            headers=st.dictionaries(words, words, max_size=3),
            network=words,
            lists=st.lists(words, max_size=2).map(tuple),
            signs=st.lists(words, max_size=2).map(tuple),
            gateway=words,
        ),
        ip_address=st.none() | words,
        altered=st.booleans(),
    ),
    st.builds(
        Judged,
        classification=st.builds(
            Classification,
            agent=st.sampled_from(Agent),
            confidence=st.floats(0, 1),
            reasons=st.lists(words, max_size=3).map(tuple),
            rules_version=words,
        ),
        withheld=st.booleans(),
        altered=st.booleans(),
    ),
)


@given(kepts)
def test_law_kept_of_gives_back_what_features_of_was_given(kept: Kept) -> None:
    """Law: kept_of gives back what features_of was given, with the row's time, kind and slot."""
    features = json.loads(json.dumps(features_of(kept)))
    hit = RecordedHit("H", AT, HitKind.CLICK, 7, 3, html=True, features=features)
    assert kept_of(hit) == kept


def test_of_a_time_only_the_day_is_kept() -> None:
    assert day_of(AT) == datetime(2026, 11, 23, tzinfo=UTC)
