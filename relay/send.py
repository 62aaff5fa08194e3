"""One accepted message with all that was decided about it."""

from dataclasses import dataclass

from relay.mail import Copy, Submission
from relay.template import Template
from relay.verdict import Accept


@dataclass(frozen=True, slots=True)
class Send:
    """A submission that is answered 250, and what its recipients get."""

    submission: Submission
    accept: Accept
    template: Template
    copies: tuple[Copy, ...]
    """Every envelope recipient is in exactly one."""
