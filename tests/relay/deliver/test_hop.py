import asyncio
import re
from dataclasses import replace
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from aiosmtpd import smtp as aiosmtpd_server
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relay.deliver.hop import NextHop, Unreachable
from relay.reply import Deferred, Delivered, Failed, Reply
from relay.upstream import Timeouts, TlsMode, Upstream

DROP = b"\0drop"
SILENCE = b"\0silence"
JUNK = b"\x16\x03\x01 what?\r\n"
ENDLESS = b"250-" + b"x" * 9000
NEVER_ENDING = b"250-more\r\n" * 200
CONTENT = b"Subject: hello\r\n\r\nHello\r\n"


def content() -> bytes:
    return CONTENT


def stuffed(raw: bytes) -> bytes:
    return re.sub(rb"(?m)^\.", b"..", raw)


async def test_a_copy_arrives_as_it_was_given(
    fake_upstream: Any, next_hop: Any, envelope: Any
) -> None:
    server = await fake_upstream()
    outcomes = await next_hop(server).deliver_copy(envelope("b@example.org"), content)
    assert outcomes == (Delivered(Reply(250, "2.0.0", "taken")),)
    (taken,) = server.taken
    assert (taken.sender, taken.recipients, taken.content) == (
        "a@example.com",
        ("b@example.org",),
        CONTENT,
    )


BODIES = {
    "lines of dots": b"\r\n".join(b"." * number for number in range(10)) + b"\r\n",
    "8-bit": "Grüße ✓\r\n".encode() + bytes(range(128, 256)) + b"\r\n",
    "one megabyte": Random(5).randbytes(1_000_000).replace(b"\r", b"").replace(b"\n", b"")
    + b"\r\n",
    "long lines": b"x" * 100_000 + b"\r\n" + b"y" * 70_000 + b"\r\n",
    "a dot at every block's edge": (b"\r\n" + b"." * 30) * 40_000 + b"\r\n",
    "nothing but the end of the header": b"",
    "looks like the end": b"a\r\n.\r\nQUIT\r\n..\r\n...\r\n",
}


@pytest.mark.parametrize("pipelining", [True, False])
@pytest.mark.parametrize("tls", ["none", "implicit"])
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
async def test_bytes_on_the_wire_are_the_bytes_given(
    fake_upstream: Any,
    next_hop: Any,
    envelope: Any,
    authority: Any,
    body: Any,
    tls: Any,
    pipelining: Any,
) -> None:
    server = await fake_upstream(
        extensions=("PIPELINING",) if pipelining else (),
        tls=authority.good if tls == "implicit" else None,
        implicit=tls == "implicit",
    )
    given = stuffed(b"Subject: x\r\n\r\n" + body)
    outcomes = await next_hop(server, tls=tls).deliver_copy(envelope(), lambda: given)
    assert isinstance(outcomes[0], Delivered)
    assert server.taken[0].content == given


async def test_aiosmtpd_gets_the_message_that_was_meant(next_hop: Any, envelope: Any) -> None:
    seen = []

    class Sink:
        async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> Any:  # noqa: ARG002, N802 - aiosmtpd's names
            seen.append((envelope.mail_from, envelope.rcpt_tos, envelope.content))
            return "250 2.0.0 taken"

    sink = await asyncio.get_running_loop().create_server(
        lambda: aiosmtpd_server.SMTP(Sink(), hostname="sink", enable_SMTPUTF8=True), "127.0.0.1", 0
    )
    at = SimpleNamespace(port=sink.sockets[0].getsockname()[1])
    raw = b"Subject: x\r\n\r\n.\r\n..\r\n...x\r\n" + "ü".encode() * 400 + b"\r\n"
    recipients = envelope("b@example.org", "ü@example.org")
    outcomes = await next_hop(at).deliver_copy(recipients, lambda: stuffed(raw))
    assert [type(outcome) for outcome in outcomes] == [Delivered, Delivered]
    assert seen == [("a@example.com", ["b@example.org", "ü@example.org"], raw)]
    sink.close()


# Whatever the upstream does, mail is kept and nothing is raised.


@pytest.mark.parametrize("extensions", [("PIPELINING",), ()])
@pytest.mark.parametrize(
    "fault", [DROP, SILENCE, JUNK, ENDLESS, NEVER_ENDING, b"421 4.3.2 bye\r\n"]
)
@pytest.mark.parametrize("at", ["CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "CONTENT", "."])
async def test_a_fault_at_any_point_defers(
    fake_upstream: Any, next_hop: Any, envelope: Any, at: Any, fault: Any, extensions: Any
) -> None:
    server = await fake_upstream(says={at: fault}, extensions=extensions)
    opening = at in {"CONNECT", "EHLO"}
    short = Timeouts(5, 0.3 if opening else 5, 0.3, 0.3, 0.3, 0.3)
    told = await next_hop(server, timeouts=short).deliver_copy(
        envelope("b@example.org", "c@example.org"), content
    )
    if at in {"CONNECT", "EHLO", "MAIL"}:
        assert isinstance(told, Unreachable)
        assert told.reply.code // 100 == 4
    else:
        assert [type(outcome) for outcome in told] == [Deferred, Deferred]
    assert server.taken == []


async def test_a_lost_answer_to_the_full_stop_says_that_it_may_have_been_taken(
    fake_upstream: Any, next_hop: Any, envelope: Any
) -> None:
    server = await fake_upstream(says={".": DROP})
    (outcome,) = await next_hop(server).deliver_copy(envelope(), content)
    assert isinstance(outcome, Deferred)
    assert "after the end of the data" in outcome.reply.text


async def test_refused_recipients_stay_refused_when_the_connection_breaks_later(
    fake_upstream: Any, next_hop: Any, envelope: Any
) -> None:
    server = await fake_upstream(says={"RCPT": [b"550 5.1.1 no\r\n"], "CONTENT": DROP})
    outcomes = await next_hop(server).deliver_copy(envelope("b@x.example", "c@x.example"), content)
    assert outcomes[0] == Failed(Reply(550, "5.1.1", "no"))
    assert isinstance(outcomes[1], Deferred)


BIG = b"Subject: big\r\n\r\n" + b"x" * 70 + b"\r\n" * 4_000_000


@pytest.mark.parametrize(
    ("early", "kind"),
    [(b"552 5.3.4 too big\r\n", Failed), (b"250 2.0.0 thanks\r\n", Deferred)],
)
async def test_an_answer_before_the_end_of_the_data_never_counts_as_taken(
    fake_upstream: Any, next_hop: Any, envelope: Any, early: Any, kind: Any
) -> None:
    server = await fake_upstream(says={"CONTENT": early})
    (outcome,) = await next_hop(server).deliver_copy(envelope(), lambda: BIG)
    assert isinstance(outcome, kind)
    assert server.taken == []


@pytest.mark.parametrize("surplus", [b"250 one more\r\n", b"250 half a li"])
async def test_an_answer_too_many_is_not_taken_for_the_next_one(
    fake_upstream: Any, next_hop: Any, envelope: Any, surplus: Any
) -> None:
    server = await fake_upstream(says={"DATA": b"354 go on\r\n" + surplus})
    (outcome,) = await next_hop(server, timeouts=Timeouts(5, 5, 5, 5, 5, 0.2)).deliver_copy(
        envelope(), lambda: BIG
    )
    assert isinstance(outcome, Deferred)
    assert server.taken == []


async def test_a_server_that_stops_reading_is_given_up(next_hop: Any, envelope: Any) -> None:
    async def stuck(reader: Any, writer: Any) -> None:
        writer.write(b"220 x\r\n")
        for answer in (b"250 PIPELINING\r\n", b"250 a\r\n250 b\r\n354 c\r\n"):
            await reader.readuntil(b"\r\n")
            writer.write(b"250-x\r\n" * answer.startswith(b"250 P") + answer)
        await released.wait()
        writer.transport.abort()

    released = asyncio.Event()
    stuck_server = await asyncio.start_server(stuck, "127.0.0.1", 0)
    at = SimpleNamespace(port=stuck_server.sockets[0].getsockname()[1])
    hop = next_hop(at, timeouts=Timeouts(1, 1, 1, 1, 0.2, 1))
    (outcome,) = await hop.deliver_copy(envelope(), lambda: BIG * 4)
    assert isinstance(outcome, Deferred)
    assert "not taken in time" in outcome.reply.text
    released.set()
    stuck_server.close()


async def test_a_port_where_nobody_listens_is_unreachable(
    next_hop: Any, envelope: Any, unused_tcp_port: Any
) -> None:
    nobody = SimpleNamespace(port=unused_tcp_port)
    told = await next_hop(nobody).deliver_copy(envelope(), content)
    assert isinstance(told, Unreachable)
    assert told.reply.enhanced == "4.4.1"


async def test_a_name_that_does_not_exist_is_unreachable(authority: Any, envelope: Any) -> None:
    upstream = Upstream("gone", "gone.invalid", 25, TlsMode.NONE)
    told = await NextHop(upstream, "relay.example", authority.contexts).deliver_copy(
        envelope(), content
    )
    assert isinstance(told, Unreachable)


async def test_what_stamping_raises_is_raised_and_no_mail_is_begun(
    fake_upstream: Any, next_hop: Any, envelope: Any
) -> None:
    server = await fake_upstream()
    hop = next_hop(server)

    def broken() -> None:
        raise LookupError

    with pytest.raises(LookupError):
        await hop.deliver_copy(envelope(), broken)
    assert isinstance((await hop.deliver_copy(envelope(), content))[0], Delivered)
    assert server.verbs.count("MAIL") == 1


async def test_a_cancelled_delivery_sends_no_full_stop(
    fake_upstream: Any, next_hop: Any, envelope: Any
) -> Any:
    held = asyncio.Event()

    def hold(_line: Any) -> Any:
        held.set()
        return b""

    server = await fake_upstream(says={"DATA": hold})
    hop = next_hop(server)
    task = asyncio.create_task(hop.deliver_copy(envelope(), content))
    await held.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    server.says.clear()
    assert isinstance((await hop.deliver_copy(envelope(), content))[0], Delivered)
    assert len(server.taken) == 1
    assert server.connections == 2


@given(
    noise=st.lists(
        st.sampled_from(
            [
                b"250 ok\r\n",
                b"354 go\r\n",
                b"550 no\r\n",
                b"250-x\r\n",
                b"421 bye\r\n",
                b"\r\n",
                b"999 x\r\n",
                b"\xff",
                b"2",
                b"250",
                b"250 2.1.0\n",
                JUNK,
            ]
        ),
        max_size=12,
    )
)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_no_noise_makes_it_raise_or_claim_what_was_not_taken(
    fake_upstream: Any, next_hop: Any, envelope: Any, noise: Any
) -> None:
    """Law: whatever the upstream does, this returns; only what `stamp` raises is raised."""
    server = await fake_upstream(says={"MAIL": b"".join(noise), "RCPT": b"", "DATA": b""})
    told = await next_hop(server, timeouts=Timeouts(1, 1, 0.05, 0.05, 0.05, 0.05)).deliver_copy(
        replace(envelope("b@example.org", "c@example.org")), content
    )
    assert isinstance(told, Unreachable) or len(told) == 2
