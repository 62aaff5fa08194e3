"""What the tests of MIME and HTML share."""

import random
import re
import time
from collections.abc import Callable

import pytest

_TAGS = tuple(
    re.findall(
        r"\w+",
        "a area img div p table tr td b i blockquote svg math select option template noscript br"
        " object video title style script textarea iframe form button body head html center span"
        " desc g foreignObject mi frameset noembed xmp",
    )
)
_ODDS = (
    "<!--", "-->", "--!>", "<!-->", "<![CDATA[", "]]>", "<?x>", "</>", "<", ">", "&amp;", "&lt",
    "<!doctype html>", "</body>", "</html>", "<body>", "<head>", "</head>", "<a href=", "'", '"',
    "<!--[if mso]>", "<![endif]-->", "<script><!--<script>", "</script>", "<img src='x", "=",
)  # fmt: skip


@pytest.fixture(scope="session")
def hostile_document() -> Callable[[int], str]:
    """Build a document that tries to confuse a scanner, from a seed.

    Every href is another, so that links can be told apart: `https://h.example/N`.
    """

    def build(seed: int) -> str:
        dice = random.Random(seed)
        pieces: list[str] = []
        for number in range(dice.randrange(1, 40)):
            kind = dice.random()
            tag = dice.choice(_TAGS)
            if kind < 0.3:
                quote = dice.choice(["", "'", '"'])
                link = f"href={quote}https://h.example/{number}{quote}"
                pieces.append(f"<a {dice.choice(['', 'x ', 'x=1 ', '/ '])}{link}>text</a>"[:99])
            elif kind < 0.55:
                pieces.append(f"<{tag}{dice.choice(['', ' x', ' x=y', '/', ' x=/'])}>")
            elif kind < 0.75:
                pieces.append(f"</{tag}>")
            elif kind < 0.85:
                pieces.append(dice.choice(["text", " ", "é", "a & b"]))
            else:
                pieces.append(dice.choice(_ODDS))
        return "".join(pieces)

    return build


@pytest.fixture(scope="session")
def clocked() -> Callable[[Callable[[], object]], float]:
    """Return the CPU seconds that a call takes, the least of three."""

    def measure(call: Callable[[], object]) -> float:
        least = float("inf")
        for _ in range(3):
            begun = time.process_time()
            call()
            least = min(least, time.process_time() - begun)
        return least

    return measure
