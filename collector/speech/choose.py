"""Which language a browser asks for, and how it writes a day."""

import re
from datetime import date

from collector.speech.english import ENGLISH
from collector.speech.german import GERMAN
from collector.speech.phrases import Phrases
from collector.speech.swedish import SWEDISH

LANGUAGES = (ENGLISH, GERMAN, SWEDISH)
"""The first is spoken to who asks for none of them."""

_MAX_ASKED = 32
"""Languages of one request: browsers send as many as their user has named, seldom ten."""

# RFC 9110 12.5.4 and 12.4.2: a range, and a weight of up to three digits after the point.
_RANGE = re.compile(
    r"(?P<range>[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*|\*)"
    r"(?:[ \t]*;[ \t]*[qQ]=(?P<weight>[01](?:\.[0-9]{0,3})?))?"
)


def choose_language(accepted: str) -> Phrases:
    """Return what fits an Accept-Language field best; English where nothing does.

    Of languages with the same weight it is the one named first.

    Law: no language is chosen that has weight 0 where another one has more.
    """
    return max(LANGUAGES, key=lambda phrases: _weight(accepted, phrases.language))


def speak(language: str) -> Phrases:
    """Return a language by its tag; English where it is not spoken here."""
    return next((one for one in LANGUAGES if one.language == language), ENGLISH)


def tell_day(phrases: Phrases, day: date) -> str:
    """Return a day, written out."""
    return phrases.date.format(
        day=day.day, month=phrases.months[day.month - 1], year=f"{day.year:04d}"
    )


def _weight(accepted: str, language: str) -> tuple[float, int]:
    """Return how much a language is asked for, and how early: by itself, in any region, or `*`."""
    named: list[tuple[float, int]] = []
    others = (0.0, 0)
    for place, item in enumerate(accepted.split(",")[:_MAX_ASKED]):
        match = _RANGE.fullmatch(item.strip())
        if match is None:
            continue
        weight = min(1.0, float(match["weight"] or 1)), -place
        if match["range"] == "*":
            others = weight
        elif match["range"].lower().partition("-")[0] == language:
            named.append(weight)
    return max(named) if named else others
