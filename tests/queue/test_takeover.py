"""A relay that was killed: the next one takes its leases over at once, and no living one's."""

import signal
import time
from typing import Any

import pytest

pytestmark = pytest.mark.crash

WITHIN_S = 3


def test_after_a_kill_the_next_start_delivers_at_once(relay: Any, sink: Any) -> None:
    relay.retry = "lease_s = 600"
    sink.stall.set()
    relay.start()
    send_id = relay.submit("bob@example.test")
    assert sink.stalled.wait(20), "it is being delivered"
    relay.end(signal.SIGKILL)
    sink.stall.clear()
    relay.start()
    began = time.monotonic()
    relay.wait(lambda: "copy.delivered" in relay.events(send_id), "it is delivered", 20)
    took_s = time.monotonic() - began
    print(f"delivered {took_s:.2f} s after the next start")  # noqa: T201 - for docs/promises.md
    assert took_s < WITHIN_S
    assert len(sink.taken) == 1
    assert "leases.freed" in relay.log()


def test_the_leases_of_the_living_are_left_alone(relay: Any, sink: Any, ports: Any) -> None:
    relay.retry = "lease_s = 600"
    sink.stall.set()
    relay.start()
    relay.submit("bob@example.test")
    assert sink.stalled.wait(20), "it is being delivered"
    sink.stall.clear()
    other = type(relay)(relay.folder, ports(), relay.upstream, relay.retry)
    other.start()
    try:
        other.submit("carol@example.test")
        other.wait(lambda: len(sink.taken) == 1, "the other one works")
        assert [to for to, _ in sink.taken] == [("carol@example.test",)]
        assert "leases.freed" not in other.log()
        assert len(list((relay.folder / "state" / "relays").iterdir())) == 2
    finally:
        other.end()
        relay.end(signal.SIGKILL)  # or it waits for the upstream that says nothing
