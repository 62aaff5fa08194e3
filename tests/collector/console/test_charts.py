from hypothesis import given
from hypothesis import strategies as st

from collector.console.charts import HEIGHT, WIDTH, draw_bars, draw_columns, draw_squares

FIGURES = st.lists(st.tuples(*[st.integers(0, 10**7)] * 3), min_size=1, max_size=90)


@given(FIGURES)
def test_parts_of_a_bar_stand_to_each_other_as_their_figures(
    figures: list[tuple[int, int, int]],
) -> None:
    """Law: the heights of a bar's parts stand to each other as its figures do."""
    rows = [(str(number), figure) for number, figure in enumerate(figures)]
    chart = draw_columns("Opens", "Day", ("a", "b", "c"), rows)
    some = [figure for row in figures for figure in row if figure]
    assert len(chart.rects) == len(some)
    for rect, figure in zip(chart.rects, some, strict=True):
        assert abs(rect.height - HEIGHT * figure / chart.most) <= 0.01
        assert 0 <= rect.x <= rect.x + rect.width <= WIDTH + 0.1
        assert -0.1 <= rect.y <= HEIGHT
    assert chart.rows == tuple(rows)
    assert chart.total == sum(some)


def test_lying_bars_are_as_long_as_their_figures() -> None:
    chart = draw_bars("Deliveries", "Upstream", ("on", "off"), [("a", (3, 1)), ("b", (0, 2))])
    assert [(rect.x, rect.width, rect.kind) for rect in chart.rects] == [
        (0, WIDTH * 3 / 4, 0),
        (WIDTH * 3 / 4, WIDTH / 4, 1),
        (0, WIDTH / 2, 1),
    ]


def test_a_square_is_the_stronger_the_more_and_never_hides_what_happened() -> None:
    chart = draw_squares("Week", "Day", ("0", "1", "2"), [("Mon", (0, 1, 10_000))])
    assert [rect.strength for rect in chart.rects] == [0.0, 0.08, 1.0]


def test_nothing_is_drawn_of_nothing() -> None:
    assert draw_columns("Opens", "Day", ("a",), [("1", (0,))]).rects == ()
    assert draw_bars("Queue", "Why", ("a",), []).most == 0
