from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.speech.choose import LANGUAGES, choose_language, speak, tell_day
from collector.speech.phrases import Phrases


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("", "en"),
        ("sv", "sv"),
        ("de-AT,de;q=0.9,en;q=0.8", "de"),
        ("en-US,en;q=0.9,de;q=0.8", "en"),
        ("fr, de;q=0.3, sv;q=0.4", "sv"),
        ("sv, de", "sv"),
        ("de, sv", "de"),
        ("fr;q=1.0, *;q=0.1", "en"),
        ("en;q=0, *", "de"),
        ("*;q=0.5, sv;q=0", "en"),
        ("DE", "de"),
        ("de ; q=0.2 , en;q=0.1", "de"),
        ("de;q=0,sv;q=0", "en"),
        ("dexter, svx", "en"),
        ("de;q=nonsense, sv;q=0.1", "sv"),
        ("de;q=1.5", "de"),
        ("\x00\xff;;;,,,", "en"),
        ("x," * 10_000 + "de", "en"),
    ],
)
def test_the_language_that_a_browser_asks_for_is_spoken(accepted: str, language: str) -> None:
    assert choose_language(accepted).language == language


@given(
    weights=st.dictionaries(st.sampled_from(["en", "de", "sv"]), st.integers(0, 1000), min_size=1)
)
def test_law_no_language_is_chosen_that_has_weight_0_where_another_has_more(
    weights: dict[str, int],
) -> None:
    """Law: no language is chosen that has weight 0 where another one has more."""
    accepted = ", ".join(f"{name};q={weight / 1000:.3f}" for name, weight in weights.items())
    chosen = choose_language(accepted).language
    assert weights.get(chosen, 0) == max(0, *weights.values())


def test_a_day_is_written_out() -> None:
    told = [tell_day(phrases, date(2026, 3, 9)) for phrases in LANGUAGES]
    assert told == ["9 March 2026", "9. März 2026", "9 mars 2026"]
    for phrases in LANGUAGES:
        assert len(set(phrases.months)) == 12


def test_a_language_that_is_not_spoken_is_answered_in_english() -> None:
    assert speak("sv").language == "sv"
    assert speak("xx").language == "en"


def _texts(word: object, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(word, str):
        yield path, word
    elif isinstance(word, tuple):
        for number, one in enumerate(word):
            yield from _texts(one, f"{path}.{number}")
    elif is_dataclass(word):
        for field in fields(word):
            yield from _texts(getattr(word, field.name), f"{path}.{field.name}")


def _blanks(text: str) -> set[str]:
    return {piece.partition("}")[0] for piece in text.split("{")[1:]}


@pytest.mark.parametrize("phrases", LANGUAGES, ids=lambda phrases: phrases.language)
def test_every_language_says_all_with_the_same_blanks_and_its_own_words(phrases: Phrases) -> None:
    ours, english = dict(_texts(phrases)), dict(_texts(LANGUAGES[0]))
    assert ours.keys() == english.keys()
    assert all(text.strip() == text or path.endswith("_mail.text") for path, text in ours.items())
    assert all(ours.values())
    assert {path: _blanks(text) for path, text in ours.items()} == {
        path: _blanks(text) for path, text in english.items()
    }
    if phrases is not LANGUAGES[0]:
        same = [path for path, text in ours.items() if text == english[path] and len(text) > 15]
        assert same in ([".date"], [])
