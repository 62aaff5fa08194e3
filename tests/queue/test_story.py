"""The log tells a mail's whole story: grep for one id, and it is there in order."""

from typing import Any

import pytest

pytestmark = pytest.mark.slow


def without_repeats(events: list[str]) -> list[str]:
    return [one for at, one in enumerate(events) if at == 0 or events[at - 1] != one]


def test_one_id_tells_the_whole_story_of_a_mail(relay: Any, sink: Any) -> None:
    says = [b"451 4.7.1 Greylisted\r\n"]
    sink.rcpt = lambda one: b"250 ok\r\n" if "ann@" in one else says[0]
    relay.start()
    send_id = relay.submit("bob@example.test")
    relay.wait(lambda: "delay_notice.queued" in relay.events(send_id), "a delay is told")
    relay.command("queue", "hold", send_id)
    relay.wait(lambda: "queue.held" in relay.events(send_id), "the log tells the hold")
    says[0] = b"550 5.1.1 No such user\r\n"
    relay.command("queue", "release", "--recipient", "*@example.test")
    relay.wait(lambda: "bounce.queued" in relay.events(send_id), "the sender is told")
    relay.wait(lambda: "queue.released" in relay.events(send_id), "the log tells the release")
    story = relay.story(send_id)
    told = without_repeats([line["event"] for line in story])
    assert told[:3] == ["submission.accepted", "copy.deferred", "delay_notice.queued"]
    assert {one for one in told if one.startswith("queue.")} == {"queue.held", "queue.released"}
    assert told.index("queue.held") < told.index("copy.failed") < told.index("bounce.queued")
    assert told.count("delay_notice.queued") == 1
    attempts = [int(line["attempt"]) for line in story if "attempt" in line]
    assert attempts == list(range(1, len(attempts) + 1))
    failed = next(line for line in story if line["event"] == "copy.failed")
    assert failed["reply"] == '"550 5.1.1 No such user"'
    assert (failed["upstream"], failed["recipients"]) == ("sink", "1")
    for kind in ("delay_notice.queued", "bounce.queued"):
        report = next(line["report"] for line in story if line["event"] == kind)
        relay.wait(lambda: "copy.delivered" in relay.events(report), "the report arrives")  # noqa: B023 - it is waited for at once
        assert relay.events(report) == [kind, "copy.delivered"]
    assert "bob@" not in relay.log(), "a recipient stands in the log"
    assert [to for to, _ in sink.taken] == [("ann@sender.test",)] * 2
    assert all(b"Subject: the offer" in raw and b"Hello." not in raw for _, raw in sink.taken)


def test_what_is_dropped_is_told_by_the_running_relay(relay: Any, sink: Any) -> None:
    sink.rcpt = lambda one: b"250 ok\r\n" if "ann@" in one else b"451 4.7.1 Later\r\n"
    relay.retry = "first_after_s = 600\nmax_after_s = 600"
    relay.start()
    silent, bounced = relay.submit("bob@example.test"), relay.submit("carol@example.test")
    for one in (silent, bounced):
        relay.wait(lambda: "copy.deferred" in relay.events(one), "it is put off")  # noqa: B023 - the same
    relay.command("queue", "drop", silent, "--yes")
    relay.command("queue", "drop", bounced, "--yes", "--bounce")
    relay.wait(lambda: "bounce.queued" in relay.events(bounced), "the sender is told", 8)
    relay.wait(lambda: "queue.dropped" in relay.events(silent), "the log tells it", 8)
    relay.wait(lambda: len(sink.taken) == 1, "the report arrives")
    ((to, raw),) = sink.taken
    assert (to, b"carol@example.test" in raw) == (("ann@sender.test",), True)
    assert b"removed from the queue by an administrator" in raw
    failed = [
        relay.command("log", "--type", "failed", "--recipient", one)
        for one in ("bob@example.test", "carol@example.test")
    ]
    assert all("removed from the queue by an administrator" in one for one in failed)
    assert relay.command("queue") == "nothing waits\n"


def test_a_report_nobody_takes_is_a_dead_letter(relay: Any, sink: Any) -> None:
    sink.rcpt = lambda _: b"550 5.1.1 No such user\r\n"
    relay.start()
    send_id = relay.submit("bob@example.test")
    relay.wait(lambda: "dead_letter.kept" in relay.log(), "the report is a dead letter")
    report = next(line["report"] for line in relay.story(send_id) if "report" in line)
    assert relay.events(report) == ["bounce.queued", "copy.failed", "dead_letter.kept"]
    assert "1 copy: 1 dead" in relay.command("queue")
    sink.rcpt = lambda _: b"250 ok\r\n"
    relay.command("queue", "release", report)
    relay.wait(lambda: len(sink.taken) == 1, "it is tried anew", 8)
    relay.wait(lambda: relay.command("queue") == "nothing waits\n", "it is settled")
    assert relay.log().count("bounce.queued") == 1


def test_a_retry_wakes_the_running_relay(relay: Any, sink: Any) -> None:
    sink.rcpt = lambda _: b"451 4.7.1 Later\r\n"
    relay.retry = "first_after_s = 3600\nmax_after_s = 3600"
    relay.start()
    send_id = relay.submit("bob@example.test")
    relay.wait(lambda: "copy.deferred" in relay.events(send_id), "it is put off")
    sink.rcpt = lambda _: b"250 ok\r\n"
    assert relay.command("queue", "retry", send_id) == "retried 1 copy\n"
    relay.wait(lambda: "copy.delivered" in relay.events(send_id), "it is delivered", 7)
