from hypothesis import given
from hypothesis import strategies as st

from collector.quota import Quota

STEPS = st.lists(st.tuples(st.sampled_from("ab"), st.floats(0, 30, allow_nan=False)), max_size=60)


@given(steps=STEPS, most=st.integers(1, 4))
def test_law_within_any_time_a_name_is_let_through_so_often_at_most(
    steps: list[tuple[str, float]], most: int
) -> None:
    """Law: within any `within_s` a name is let through at most `most` times."""
    quota, now = Quota(most, 60.0), 0.0
    let: dict[str, list[float]] = {"a": [], "b": []}
    for name, pause in steps:
        now += pause
        if quota.take(name, now):
            let[name].append(now)
        lately = [at for at in let[name] if now - at < 60.0]
        assert len(lately) <= most
        assert lately, "a name that did nothing lately is let through"


def test_of_too_many_names_the_oldest_is_forgotten() -> None:
    quota = Quota(1, 1e9)
    assert quota.take("first", 0.0)
    for number in range(10_000):
        assert quota.take(str(number), 1.0)
    assert quota.take("first", 2.0)
    assert not quota.take("9999", 2.0)
