"""Why an open or click was labelled so, in words, for and against."""

from collector.reasons import REASON_WORDS, SIGNS_OF_PEOPLE, SIGNS_OF_PROGRAMS
from ledger.event import Event


def tell_reasons(event: Event) -> list[tuple[str, str]]:
    """Return each reason after the word that joins it: first what speaks for the label.

    Law: each reason is told once.
    """
    by_program = event.classification is not None and event.classification.machine
    contrary = SIGNS_OF_PEOPLE if by_program else SIGNS_OF_PROGRAMS
    speaking = [code for code in event.reasons if code not in contrary]
    against = [code for code in event.reasons if code in contrary]
    joined = [("and" if number else "Because", code) for number, code in enumerate(speaking)]
    joined += [("and" if number else "Although", code) for number, code in enumerate(against)]
    return [(word, tell_reason(code)) for word, code in joined]


def tell_reason(code: str) -> str:
    """Return what a rule saw; a code of another version is shown as it is."""
    return REASON_WORDS.get(code, code.replace("_", " "))
