"""Problems: what a request met, as RFC 9457 has it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus

MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a request."""

    where: str
    """A parameter, or a field of the body."""
    what: str
    """What is wrong, and the mend."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a request."""

    status: HTTPStatus
    detail: str
    """For a person: what, where, the mend."""
    faults: tuple[Fault, ...] = ()
    """By parameter or field, where there are such."""


class ProblemError(Exception):
    """A request that is answered with a problem."""

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        faults: Sequence[Fault] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Say what is wrong, where, and the mend."""
        super().__init__(detail)
        self.problem = Problem(status, detail, tuple(faults))
        self.headers = dict(headers or {})


def problem_object(problem: Problem) -> dict[str, object]:
    """Return a problem as its JSON object."""
    # RFC 9457 4.2.1: about:blank says no more than the status, and the title is its phrase.
    shown: dict[str, object] = {
        "type": "about:blank",
        "title": problem.status.phrase,
        "status": problem.status.value,
        "detail": problem.detail,
    }
    if problem.faults:
        shown["errors"] = [{"where": one.where, "what": one.what} for one in problem.faults]
    return shown
