"""WRITE: an answer as it goes over the connection."""

from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus

from collector.answer import PIXEL, Answer

SERVER = "indicia"


def write_answer(answer: Answer, now_s: float, *, stays: bool) -> bytes:
    """Return the response to a GET of HTTP/1.1, or of 1.0 where the connection does not stay.

    `now_s` is Unix time.
    """
    begin = _PIXEL if answer is PIXEL else _begin(answer)
    # RFC 9110 6.6.1: an origin server with a clock must say when it answered.
    date = _date(int(now_s))
    end = b"\r\n\r\n" if stays else b"\r\nConnection: close\r\n\r\n"
    return begin + date + end + answer.body


@lru_cache(maxsize=2)  # of this second and the one before
def _date(now_s: int) -> bytes:
    return formatdate(now_s, usegmt=True).encode("ascii")


def _begin(answer: Answer) -> bytes:
    # No field can hold a line break: answer_click refuses what could, all else is written here.
    fields = "".join(f"{name}: {value}\r\n" for name, value in answer.headers.items())
    return (
        f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}\r\n{fields}"
        f"Content-Length: {len(answer.body)}\r\nServer: {SERVER}\r\nDate: "
    ).encode("ascii")


_PIXEL = _begin(PIXEL)
