"""What SMTP answers, and what became of a recipient."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply of one line (RFC 5321 4.2) with its enhanced code (RFC 3463)."""

    code: int
    enhanced: str
    """`5.7.1`, or empty where a server gave none."""
    text: str

    def __str__(self) -> str:
        return " ".join(word for word in (str(self.code), self.enhanced, self.text) if word)


@dataclass(frozen=True, slots=True)
class Delivered:
    """The next hop took responsibility for the recipient."""

    reply: Reply


@dataclass(frozen=True, slots=True)
class Deferred:
    """Not now: try again later."""

    reply: Reply
    ambiguous: bool = False
    """The answer to the final dot was lost: the next hop may have taken it."""


@dataclass(frozen=True, slots=True)
class Failed:
    """Never: the sender is told."""

    reply: Reply


Outcome = Delivered | Deferred | Failed
