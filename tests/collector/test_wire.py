from email.utils import parsedate_to_datetime

import pytest

from collector.answer import FAULT, GIF, NOT_FOUND, PIXEL, answer_click
from collector.wire import write_answer


def test_the_pixel_is_written_whole_with_a_date() -> None:
    assert write_answer(PIXEL, 1_795_521_600.9, stays=True) == (
        b"HTTP/1.1 200 OK\r\nContent-Type: image/gif\r\nCache-Control: no-store\r\n"
        b"Content-Length: 43\r\nServer: indicia\r\nDate: Tue, 24 Nov 2026 12:00:00 GMT\r\n\r\n"
        + GIF
    )


def test_an_answer_after_which_the_connection_ends_says_so() -> None:
    raw = write_answer(answer_click("https://example.net/a?b#c"), 0.0, stays=False)
    head, body = raw.split(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 302 Found\r\n")
    assert b"\r\nLocation: https://example.net/a?b\r\n" in head
    assert head.endswith(b"\r\nConnection: close")
    assert body == b"See Location.\n"


@pytest.mark.parametrize("answer", [PIXEL, NOT_FOUND, FAULT])
def test_the_date_is_that_of_each_answer(answer: object) -> None:
    for now_s in (0.0, 1.0, 86_400.0, 1.0):
        raw = write_answer(answer, now_s, stays=False)  # type: ignore[arg-type] # of answers above
        date = raw.partition(b"Date: ")[2].partition(b"\r\n")[0].decode()
        assert parsedate_to_datetime(date).timestamp() == now_s
