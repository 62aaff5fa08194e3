"""Charts: the places of bars and squares, and the same figures as a table."""

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH = 720
HEIGHT = 120
_GAP = 0.2
"""Of the place of a bar: left free between two."""
_CELL = 26
_LEAST = 0.08
"""How strongly a square is drawn in which anything happened at all."""


@dataclass(frozen=True, slots=True)
class Rect:
    """A rectangle of an SVG drawing."""

    x: float
    y: float
    width: float
    height: float
    kind: int
    """Which of the series it belongs to."""
    strength: float = 1.0
    """0 to 1: how strongly it is drawn."""


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing and its table; they tell the same."""

    title: str
    rects: tuple[Rect, ...]
    width: int
    height: int
    series: tuple[str, ...]
    """What each column of the table, after the first, is."""
    rows: tuple[tuple[str, tuple[int, ...]], ...]
    """Name and figures."""
    head: str
    """What the names of the rows are."""

    @property
    def total(self) -> int:
        """All figures together."""
        return sum(sum(figures) for _, figures in self.rows)

    @property
    def most(self) -> int:
        """The highest bar."""
        return max((sum(figures) for _, figures in self.rows), default=0)


Rows = Sequence[tuple[str, tuple[int, ...]]]


def draw_columns(title: str, head: str, series: tuple[str, ...], rows: Rows) -> Chart:
    """Return standing bars, the series of each on top of one another.

    Law: the heights of a bar's parts stand to each other as its figures do.
    """
    most = max((sum(figures) for _, figures in rows), default=0) or 1
    step = WIDTH / max(1, len(rows))
    rects = []
    for place, (_, figures) in enumerate(rows):
        top = float(HEIGHT)
        for kind, figure in enumerate(figures):
            height = HEIGHT * figure / most
            top -= height
            if figure:
                x = (place + _GAP / 2) * step
                rects.append(_rect(x, top, step * (1 - _GAP), height, kind))
    return Chart(title, tuple(rects), WIDTH, HEIGHT, series, tuple(rows), head)


def draw_bars(title: str, head: str, series: tuple[str, ...], rows: Rows) -> Chart:
    """Return lying bars, the series of each behind one another."""
    most = max((sum(figures) for _, figures in rows), default=0) or 1
    rects = []
    for place, (_, figures) in enumerate(rows):
        left = 0.0
        for kind, figure in enumerate(figures):
            width = WIDTH * figure / most
            if figure:
                rects.append(_rect(left, place * _CELL + 3, width, _CELL - 6, kind))
            left += width
    return Chart(title, tuple(rects), WIDTH, _CELL * max(1, len(rows)), series, tuple(rows), head)


def draw_squares(title: str, head: str, series: tuple[str, ...], rows: Rows) -> Chart:
    """Return a square for each figure, the stronger the more: one line for each row."""
    most = max((max(figures, default=0) for _, figures in rows), default=0) or 1
    step = WIDTH / max(1, len(series))
    rects = tuple(
        _rect(
            place * step + 1,
            line * _CELL + 1,
            step - 2,
            _CELL - 2,
            0,
            round(_LEAST + (1 - _LEAST) * figure / most, 3) if figure else 0.0,
        )
        for line, (_, figures) in enumerate(rows)
        for place, figure in enumerate(figures)
    )
    return Chart(title, rects, WIDTH, _CELL * max(1, len(rows)), series, tuple(rows), head)


def _rect(  # noqa: PLR0913, PLR0917 - the fields of one word, rounded for the page
    x: float, y: float, width: float, height: float, kind: int, strength: float = 1.0
) -> Rect:
    return Rect(round(x, 2), round(y, 2), round(width, 2), round(height, 2), kind, strength)
