"""A relay whose clock is set while it runs, under Debian's libfaketime."""

import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

_LIBRARIES = [
    path
    for folder in Path("/usr/lib").glob("*/faketime")
    if (path := folder / "libfaketimeMT.so.1").exists()
]

pytestmark = [
    pytest.mark.daemon,
    pytest.mark.skipif(not _LIBRARIES, reason="Debian's faketime is not installed"),
]

JUMPS = ("+1d", "-1d", "+3650d", "-3650d", "+0")


def test_a_clock_that_is_set_neither_stops_mail_nor_bounces_it(
    relay: Any, sink: Any, tmp_path: Path
) -> None:
    hand = tmp_path / "clock"
    hand.write_text("+0\n")
    sink.rcpt = lambda one: b"250 ok\r\n" if "ann@" in one else b"451 4.7.1 Later\r\n"
    relay.retry = "first_after_s = 1\nmax_after_s = 1\ngive_up_after_s = 86400\nlease_s = 10"
    relay.start(
        env={
            "LD_PRELOAD": str(_LIBRARIES[0]),
            "FAKETIME_TIMESTAMP_FILE": str(hand),
            "FAKETIME_NO_CACHE": "1",
            # A clock that is set is set against the one that is not.
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
    )
    send_id = relay.submit("bob@example.test")

    def attempts() -> int:
        return relay.events(send_id).count("copy.deferred")

    relay.wait(lambda: attempts() >= 1, "it is put off")
    for jump in JUMPS:
        before = attempts()
        hand.write_text(f"{jump}\n")
        # max_after_s, the calm after a jump and a look at the queue: under 15 s on a busy machine.
        relay.wait(lambda: attempts() > before, f"it is tried again after {jump}", 30)  # noqa: B023 - it is waited for at once
    assert relay.log().count("clock.set") >= len(JUMPS)
    late = relay.submit("carol@example.test")
    sink.rcpt = lambda _: b"250 ok\r\n"
    for one in (send_id, late):
        relay.wait(lambda: "copy.delivered" in relay.events(one), "it is delivered")  # noqa: B023 - the same
    told = set(relay.events(send_id))
    assert told <= {
        *("submission.accepted", "copy.deferred", "delay_notice.queued", "copy.delivered"),
    }
    to = [one for one, _ in sink.taken if one != ("ann@sender.test",)]
    assert sorted(to) == [("bob@example.test",), ("carol@example.test",)]


def test_a_relay_that_starts_with_another_clock_frees_what_was_left(relay: Any, sink: Any) -> None:
    relay.retry = "first_after_s = 2\nmax_after_s = 2\nlease_s = 600"
    sink.stall.set()
    ahead = {"LD_PRELOAD": str(_LIBRARIES[0]), "FAKETIME": "+3650d"}
    relay.start(env={**ahead, "FAKETIME_DONT_FAKE_MONOTONIC": "1"})
    send_id = relay.submit("bob@example.test")
    assert sink.stalled.wait(20), "it is being delivered"
    relay.end(signal.SIGKILL)
    sink.stall.clear()
    relay.start()  # ten years earlier
    relay.wait(lambda: "copy.delivered" in relay.events(send_id), "it is delivered", 20)


def test_the_library_is_one_that_works() -> None:
    said = subprocess.run(
        ["date", "+%Y"],
        env={"LD_PRELOAD": str(_LIBRARIES[0]), "FAKETIME": "@2050-01-01 00:00:00"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.strip() == "2050"
