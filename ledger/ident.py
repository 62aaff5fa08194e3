"""Names for sends, events and hits: 26 characters, in order of time, no meaning besides.

The form is that of ULID: 48 bits of Unix milliseconds and 80 random bits in Crockford's base 32.
"""

import re

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_SHAPE = re.compile(rf"[0-7][{_ALPHABET}]{{25}}")
_PAIRS = tuple(high + low for high in _ALPHABET for low in _ALPHABET)
_SHIFTS = range(120, -1, -10)
RANDOM_BITS = 80
_MOMENT_BITS = 48


def new_ident(now_ms: int, random_bits: int) -> str:
    """Return the name for a moment (Unix milliseconds) and 80 random bits.

    Law: names sort as their moments do.
    """
    moment = now_ms % (1 << _MOMENT_BITS)
    number = moment << RANDOM_BITS | random_bits % (1 << RANDOM_BITS)
    return "".join([_PAIRS[number >> shift & 1023] for shift in _SHIFTS])


def is_ident(text: str) -> bool:
    """Tell whether a text has the form of a name made here."""
    return _SHAPE.fullmatch(text) is not None
