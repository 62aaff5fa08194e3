"""How sure a label is, in words."""

_VERY_LIKELY = 0.8
_PROBABLY = 0.6


def tell_likely(confidence: float) -> tuple[str, int]:
    """Return a confidence as words and as a level from 3, the surest, to 1."""
    if confidence >= _VERY_LIKELY:
        return "very likely", 3
    if confidence >= _PROBABLY:
        return "probably", 2
    return "perhaps", 1
