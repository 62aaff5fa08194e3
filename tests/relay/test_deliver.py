import asyncio
import logging
import re
from dataclasses import replace
from random import Random

import pytest
from aiosmtpd.smtp import SMTP as AiosmtpdServer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relay.deliver import NextHop, Unreachable
from relay.reply import Deferred, Delivered, Failed, Reply
from relay.upstream import Timeouts, TlsMode, Upstream

DROP = b"\0drop"
SILENCE = b"\0silence"
JUNK = b"\x16\x03\x01 what?\r\n"
ENDLESS = b"250-" + b"x" * 9000
NEVER_ENDING = b"250-more\r\n" * 200
CONTENT = b"Subject: hello\r\n\r\nHello\r\n"


def content():
    return CONTENT


def stuffed(raw: bytes) -> bytes:
    return re.sub(rb"(?m)^\.", b"..", raw)


async def test_a_copy_arrives_as_it_was_given(fake_upstream, next_hop, envelope):
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
    "one megabyte": Random(5).randbytes(1_000_000).replace(b"\r", b"").replace(b"\n", b"") + b"\r\n",
    "long lines": b"x" * 100_000 + b"\r\n" + b"y" * 70_000 + b"\r\n",
    "a dot at every block's edge": (b"\r\n" + b"." * 30) * 40_000 + b"\r\n",
    "nothing but the end of the header": b"",
    "looks like the end": b"a\r\n.\r\nQUIT\r\n..\r\n...\r\n",
}


@pytest.mark.parametrize("pipelining", [True, False])
@pytest.mark.parametrize("tls", ["none", "implicit"])
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
async def test_bytes_on_the_wire_are_the_bytes_given(
    fake_upstream, next_hop, envelope, authority, body, tls, pipelining
):
    server = await fake_upstream(
        extensions=("PIPELINING",) if pipelining else (),
        tls=authority.good if tls == "implicit" else None,
        implicit=tls == "implicit",
    )
    given = stuffed(b"Subject: x\r\n\r\n" + body)
    outcomes = await next_hop(server, tls=tls).deliver_copy(envelope(), lambda: given)
    assert isinstance(outcomes[0], Delivered)
    assert server.taken[0].content == given


async def test_aiosmtpd_gets_the_message_that_was_meant(next_hop, envelope):
    seen = []

    class Sink:
        async def handle_DATA(self, server, session, envelope):  # noqa: ARG002, N802 - aiosmtpd's names
            seen.append((envelope.mail_from, envelope.rcpt_tos, envelope.content))
            return "250 2.0.0 taken"

    sink = await asyncio.get_running_loop().create_server(
        lambda: AiosmtpdServer(Sink(), hostname="sink", enable_SMTPUTF8=True), "127.0.0.1", 0
    )
    sink.port = sink.sockets[0].getsockname()[1]
    raw = b"Subject: x\r\n\r\n.\r\n..\r\n...x\r\n" + "ü".encode() * 400 + b"\r\n"
    recipients = envelope("b@example.org", "ü@example.org")
    outcomes = await next_hop(sink).deliver_copy(recipients, lambda: stuffed(raw))
    assert [type(outcome) for outcome in outcomes] == [Delivered, Delivered]
    assert seen == [("a@example.com", ["b@example.org", "ü@example.org"], raw)]
    sink.close()


# What is offered, and what is made of it.


async def test_with_pipelining_the_envelope_and_data_are_one_packet(
    fake_upstream, next_hop, envelope
):
    server = await fake_upstream()
    await next_hop(server).deliver_copy(envelope("b@example.org", "c@example.org"), content)
    assert server.lines == [
        "EHLO relay.example",
        f"MAIL FROM:<a@example.com> SIZE={len(CONTENT)}",
        "RCPT TO:<b@example.org>",
        "RCPT TO:<c@example.org>",
        "DATA",
    ]


async def test_nothing_is_claimed_that_was_not_offered(fake_upstream, next_hop, envelope):
    server = await fake_upstream(extensions=())
    eight_bit = b"Subject: x\r\n\r\n\xc3\xbc\r\n"
    outcomes = await next_hop(server).deliver_copy(envelope(smtputf8=True), lambda: eight_bit)
    assert isinstance(outcomes[0], Delivered)
    assert server.lines[1] == "MAIL FROM:<a@example.com>"
    assert server.taken[0].content == eight_bit


async def test_what_is_needed_is_said_where_it_is_offered(fake_upstream, next_hop, envelope):
    server = await fake_upstream()
    given = "Subject: ü\r\n\r\nü\r\n".encode()
    hop = next_hop(server)
    await hop.deliver_copy(envelope("ü@example.org", smtputf8=True), lambda: given)
    await hop.deliver_copy(envelope(sender="ü@example.com"), content)
    await hop.deliver_copy(envelope(sender=None), content)
    mails = [line for line in server.lines if line.startswith("MAIL")]
    assert mails == [
        f"MAIL FROM:<a@example.com> SIZE={len(given)} BODY=8BITMIME SMTPUTF8",
        f"MAIL FROM:<ü@example.com> SIZE={len(CONTENT)} SMTPUTF8",
        f"MAIL FROM:<> SIZE={len(CONTENT)}",
    ]


async def test_without_smtputf8_only_those_who_need_it_fail(fake_upstream, next_hop, envelope):
    server = await fake_upstream(extensions=("PIPELINING",))
    hop = next_hop(server)
    mixed = await hop.deliver_copy(envelope("ü@example.org", "b@example.org"), content)
    assert [type(outcome) for outcome in mixed] == [Failed, Delivered]
    assert mixed[0].reply.enhanced == "5.6.7"
    assert server.taken[0].recipients == ("b@example.org",)
    for needs, given in (
        (envelope(sender="ü@example.com"), CONTENT),
        (envelope(smtputf8=True), "Subject: ü\r\n\r\n".encode()),
    ):
        (outcome,) = await hop.deliver_copy(needs, lambda given=given: given)
        assert outcome.reply.enhanced == "5.6.7"
    assert len(server.taken) == 1
    assert server.connections == 1


async def test_a_server_without_ehlo_is_greeted_the_old_way(fake_upstream, next_hop, envelope):
    server = await fake_upstream(says={"EHLO": b"502 5.5.1 what?\r\n"})
    outcomes = await next_hop(server).deliver_copy(envelope(), content)
    assert isinstance(outcomes[0], Delivered)
    assert server.verbs[:3] == ["EHLO", "HELO", "MAIL"]


# Each recipient has his own outcome.


def by_recipient(answers):
    return lambda line: answers.get(line[line.index("<") + 1 : line.index("@")], b"250 ok\r\n")


@pytest.mark.parametrize("extensions", [("PIPELINING",), ()])
async def test_each_recipient_has_his_own_answer(fake_upstream, next_hop, envelope, extensions):
    answers = {"later": b"451 4.2.1 later\r\n", "never": b"550-5.1.1 no such\r\n550 5.1.1 user\r\n"}
    server = await fake_upstream(extensions=extensions, says={"RCPT": by_recipient(answers)})
    outcomes = await next_hop(server).deliver_copy(
        envelope("ok@x.example", "later@x.example", "never@x.example", "too@x.example"), content
    )
    assert outcomes == (
        Delivered(Reply(250, "2.0.0", "taken")),
        Deferred(Reply(451, "4.2.1", "later")),
        Failed(Reply(550, "5.1.1", "no such user")),
        Delivered(Reply(250, "2.0.0", "taken")),
    )
    assert server.taken[0].recipients == ("ok@x.example", "too@x.example")


@pytest.mark.parametrize("extensions", [("PIPELINING",), ()])
@pytest.mark.parametrize(
    ("says", "expected"),
    [
        ({"MAIL": [b"451 4.1.8 later\r\n"]}, [Deferred, Deferred]),
        ({"MAIL": [b"550 5.7.1 not you\r\n"]}, [Failed, Failed]),
        ({"MAIL": [b"530 5.7.0 sign in\r\n"]}, [Deferred, Deferred]),
        ({"RCPT": [b"450 4.2.1 greylisted\r\n", b"550 5.1.1 no\r\n"]}, [Deferred, Failed]),
        ({"RCPT": [b"552 too many\r\n", b"452 4.5.3 too many\r\n"]}, [Deferred, Deferred]),
        ({"DATA": [b"451 4.3.0 later\r\n"]}, [Deferred, Deferred]),
        ({"DATA": [b"554 5.7.0 never\r\n"]}, [Failed, Failed]),
        ({".": [b"451 4.3.0 later\r\n"]}, [Deferred, Deferred]),
        ({".": [b"552 5.3.4 too big\r\n"]}, [Failed, Failed]),
        ({"RCPT": [b"550 no\r\n", b"550 no\r\n"], "DATA": [b"354 well\r\n"]}, [Failed, Failed]),
    ],
)
async def test_after_a_refusal_the_connection_serves_the_next_mail(
    fake_upstream, next_hop, envelope, says, expected, extensions
):
    server = await fake_upstream(says=dict(says), extensions=extensions)
    hop = next_hop(server)
    outcomes = await hop.deliver_copy(envelope("b@example.org", "c@example.org"), content)
    assert [type(outcome) for outcome in outcomes] == expected
    outcomes = await hop.deliver_copy(envelope("d@example.org"), content)
    assert isinstance(outcomes[0], Delivered)
    assert server.connections == 1
    assert server.taken[-1].recipients == ("d@example.org",)


@pytest.mark.parametrize("extensions", [("PIPELINING",), ()])
@pytest.mark.parametrize(
    ("at", "odd"),
    [
        ("MAIL", b"354 odd\r\n"),
        ("RCPT", b"354 odd\r\n"),
        ("DATA", b"250 odd\r\n"),
        (".", b"354 odd\r\n"),
    ],
)
async def test_an_answer_out_of_place_is_not_taken_for_success(
    fake_upstream, next_hop, envelope, at, odd, extensions
):
    server = await fake_upstream(says={at: [odd]}, extensions=extensions)
    (outcome,) = await next_hop(server).deliver_copy(envelope(), content)
    assert isinstance(outcome, Deferred)


async def test_nobody_taken_and_a_354_is_ended_by_an_empty_message(
    fake_upstream, next_hop, envelope
):
    server = await fake_upstream(says={"RCPT": b"550 5.1.1 no\r\n", "DATA": b"354 well\r\n"})
    outcomes = await next_hop(server).deliver_copy(envelope(), content)
    assert outcomes == (Failed(Reply(550, "5.1.1", "no")),)
    assert [(taken.recipients, taken.content) for taken in server.taken] == [((), b"")]


async def test_more_recipients_than_a_transaction_takes_are_sent_in_several(
    fake_upstream, next_hop, envelope
):
    server = await fake_upstream()
    many = [f"r{number}@example.org" for number in range(25)]
    hop = next_hop(server, max_recipients_per_transaction=10)
    outcomes = await hop.deliver_copy(envelope(*many), content)
    assert [type(outcome) for outcome in outcomes] == [Delivered] * 25
    assert [len(taken.recipients) for taken in server.taken] == [10, 10, 5]
    assert [one for taken in server.taken for one in taken.recipients] == many
    assert {taken.content for taken in server.taken} == {CONTENT}


async def test_those_too_many_for_the_server_follow_at_once(fake_upstream, next_hop, envelope):
    room = [0]

    def rcpt(_line):
        room[0] += 1
        return b"250 ok\r\n" if room[0] <= 2 else b"452 4.5.3 too many\r\n"

    def mail(_line):
        room[0] = 0
        return b"250 ok\r\n"

    server = await fake_upstream(says={"MAIL": mail, "RCPT": rcpt})
    many = [f"r{number}@example.org" for number in range(5)]
    outcomes = await next_hop(server).deliver_copy(envelope(*many), content)
    assert [type(outcome) for outcome in outcomes] == [Delivered] * 5
    assert sorted(one for taken in server.taken for one in taken.recipients) == many


async def test_the_rest_waits_when_the_connection_breaks_between_transactions(
    fake_upstream, next_hop, envelope
):
    server = await fake_upstream(says={"MAIL": [b"250 ok\r\n", DROP]})
    hop = next_hop(server, max_recipients_per_transaction=1)
    many = envelope("b@example.org", "c@example.org", "d@example.org")
    outcomes = await hop.deliver_copy(many, content)
    assert [type(outcome) for outcome in outcomes] == [Delivered, Deferred, Deferred]
    assert [taken.recipients for taken in server.taken] == [("b@example.org",)]


# Whatever the upstream does, mail is kept and nothing is raised.


@pytest.mark.parametrize("extensions", [("PIPELINING",), ()])
@pytest.mark.parametrize("fault", [DROP, SILENCE, JUNK, ENDLESS, NEVER_ENDING, b"421 4.3.2 bye\r\n"])
@pytest.mark.parametrize("at", ["CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "CONTENT", "."])
async def test_a_fault_at_any_point_defers(
    fake_upstream, next_hop, envelope, at, fault, extensions
):
    server = await fake_upstream(says={at: fault}, extensions=extensions)
    short = Timeouts(1, 0.3, 0.3, 0.3, 0.3, 0.3)
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
    fake_upstream, next_hop, envelope
):
    server = await fake_upstream(says={".": DROP})
    (outcome,) = await next_hop(server).deliver_copy(envelope(), content)
    assert isinstance(outcome, Deferred)
    assert "after the end of the data" in outcome.reply.text


async def test_refused_recipients_stay_refused_when_the_connection_breaks_later(
    fake_upstream, next_hop, envelope
):
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
    fake_upstream, next_hop, envelope, early, kind
):
    server = await fake_upstream(says={"CONTENT": early})
    (outcome,) = await next_hop(server).deliver_copy(envelope(), lambda: BIG)
    assert isinstance(outcome, kind)
    assert server.taken == []


@pytest.mark.parametrize("surplus", [b"250 one more\r\n", b"250 half a li"])
async def test_an_answer_too_many_is_not_taken_for_the_next_one(
    fake_upstream, next_hop, envelope, surplus
):
    server = await fake_upstream(says={"DATA": b"354 go on\r\n" + surplus})
    (outcome,) = await next_hop(server).deliver_copy(envelope(), lambda: BIG)
    assert isinstance(outcome, Deferred)
    assert server.taken == []


async def test_a_server_that_stops_reading_is_given_up(fake_upstream, next_hop, envelope):
    server = await fake_upstream(says={"CONTENT": SILENCE})
    server.says["CONTENT"] = lambda _line: b""

    async def stuck(reader, writer):
        writer.write(b"220 x\r\n")
        for answer in (b"250 PIPELINING\r\n", b"250 a\r\n250 b\r\n354 c\r\n"):
            await reader.readuntil(b"\r\n")
            writer.write(b"250-x\r\n" * answer.startswith(b"250 P") + answer)
        await released.wait()
        writer.transport.abort()

    released = asyncio.Event()
    stuck_server = await asyncio.start_server(stuck, "127.0.0.1", 0)
    stuck_server.port = stuck_server.sockets[0].getsockname()[1]
    hop = next_hop(stuck_server, timeouts=Timeouts(1, 1, 1, 1, 0.2, 1))
    (outcome,) = await hop.deliver_copy(envelope(), lambda: BIG * 4)
    assert isinstance(outcome, Deferred)
    assert "not taken in time" in outcome.reply.text
    released.set()
    stuck_server.close()


async def test_a_port_where_nobody_listens_is_unreachable(next_hop, envelope, unused_tcp_port):
    nobody = type("Nobody", (), {"port": unused_tcp_port})
    told = await next_hop(nobody).deliver_copy(envelope(), content)
    assert isinstance(told, Unreachable)
    assert told.reply.enhanced == "4.4.1"


async def test_a_name_that_does_not_exist_is_unreachable(authority, envelope):
    upstream = Upstream("gone", "gone.invalid", 25, TlsMode.NONE)
    told = await NextHop(upstream, "relay.example", authority.contexts).deliver_copy(
        envelope(), content
    )
    assert isinstance(told, Unreachable)


async def test_what_stamping_raises_is_raised_and_no_mail_is_begun(
    fake_upstream, next_hop, envelope
):
    server = await fake_upstream()
    hop = next_hop(server)

    def broken():
        raise KeyError("key 7")

    with pytest.raises(KeyError):
        await hop.deliver_copy(envelope(), broken)
    assert isinstance((await hop.deliver_copy(envelope(), content))[0], Delivered)
    assert server.verbs.count("MAIL") == 1


async def test_a_cancelled_delivery_sends_no_full_stop(fake_upstream, next_hop, envelope):
    held = asyncio.Event()

    def hold(_line):
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


# Kept connections.


async def test_one_connection_serves_one_mail_after_the_other(fake_upstream, next_hop, envelope):
    server = await fake_upstream()
    hop = next_hop(server)
    for _ in range(5):
        await hop.deliver_copy(envelope(), content)
    assert (server.connections, len(server.taken)) == (1, 5)


async def test_never_more_connections_than_allowed(fake_upstream, next_hop, envelope):
    server = await fake_upstream()
    hop = next_hop(server, max_connections=2)
    told = await asyncio.gather(*(hop.deliver_copy(envelope(), content) for _ in range(30)))
    assert all(isinstance(outcomes[0], Delivered) for outcomes in told)
    assert server.most_at_once == 2
    assert len(server.taken) == 30


@pytest.mark.parametrize("fault", [DROP, b"421 4.4.2 too long idle\r\n"])
async def test_a_kept_connection_that_went_away_is_replaced_unseen(
    fake_upstream, next_hop, envelope, fault
):
    server = await fake_upstream(says={"MAIL": [b"250 ok\r\n", b"250 ok\r\n", fault, fault]})
    hop = next_hop(server)
    await asyncio.gather(*(hop.deliver_copy(envelope(), content) for _ in range(2)))
    (outcome,) = await hop.deliver_copy(envelope(), content)
    assert isinstance(outcome, Delivered)
    assert len(server.taken) == 3


async def test_a_kept_connection_that_was_cut_is_not_used(fake_upstream, next_hop, envelope):
    server = await fake_upstream()
    hop = next_hop(server)
    await hop.deliver_copy(envelope(), content)
    server.cut()
    (outcome,) = await hop.deliver_copy(envelope(), content)
    assert isinstance(outcome, Delivered)
    assert server.connections == 2


async def test_an_idle_connection_is_closed_by_quit(fake_upstream, next_hop, envelope):
    closed = asyncio.Event()

    def bye(_line):
        closed.set()
        return b"221 bye\r\n"

    server = await fake_upstream(says={"QUIT": bye})
    hop = next_hop(server, timeouts=Timeouts(1, 1, 1, 1, 1, 1, idle_s=0.05))
    await hop.deliver_copy(envelope(), content)
    await asyncio.wait_for(closed.wait(), 2)
    assert isinstance((await hop.deliver_copy(envelope(), content))[0], Delivered)
    assert server.connections == 2


async def test_where_the_upstream_allows_fewer_those_are_shared(fake_upstream, next_hop, envelope):
    greeting = [b"220 welcome\r\n", b"220 welcome\r\n"]

    def greet(_line):
        return greeting.pop() if greeting else b"421 4.7.0 too many connections\r\n"

    server = await fake_upstream(says={"CONNECT": greet})
    hop = next_hop(server, max_connections=5)
    told = await asyncio.gather(*(hop.deliver_copy(envelope(), content) for _ in range(20)))
    assert all(isinstance(outcomes[0], Delivered) for outcomes in told)
    assert len(server.taken) == 20
    assert server.connections <= 2 + 3


# TLS and AUTH.


@pytest.mark.parametrize("mode", ["starttls", "implicit", "opportunistic"])
async def test_mail_goes_over_tls(fake_upstream, next_hop, envelope, authority, mode):
    server = await fake_upstream(tls=authority.good, implicit=mode == "implicit")
    (outcome,) = await next_hop(server, tls=mode).deliver_copy(envelope(), content)
    assert isinstance(outcome, Delivered)
    assert b"MAIL" not in server.clear or mode == "implicit"
    # RFC 3207 4.2: what was learnt before TLS is forgotten.
    assert server.verbs.count("EHLO") == (1 if mode == "implicit" else 2)


@pytest.mark.parametrize("mode", ["starttls", "implicit"])
@pytest.mark.parametrize("certificate", ["wrong_name", "expired", "unknown"])
async def test_a_certificate_that_does_not_hold_is_given_nothing(
    fake_upstream, next_hop, envelope, authority, mode, certificate, password_file
):
    server = await fake_upstream(tls=getattr(authority, certificate), implicit=mode == "implicit")
    hop = next_hop(server, tls=mode, username="u", password_file=password_file)
    told = await hop.deliver_copy(envelope(), content)
    assert isinstance(told, Unreachable)
    assert told.reply.enhanced == "4.7.5"
    assert set(server.verbs) <= {"EHLO", "STARTTLS"}
    assert server.taken == []


@pytest.mark.parametrize("answer", [None, b"454 4.7.0 not now\r\n", b"250 in clear\r\n", DROP])
@pytest.mark.parametrize("mode", ["starttls", "opportunistic"])
async def test_a_server_whose_starttls_was_stripped_is_given_nothing(
    fake_upstream, next_hop, envelope, password_file, answer, mode
):
    extensions = ("AUTH PLAIN",) if answer is None else ("AUTH PLAIN", "STARTTLS")
    server = await fake_upstream(extensions=extensions, says={"STARTTLS": answer or b""})
    hop = next_hop(server, tls=mode, username="u", password_file=password_file)
    told = await hop.deliver_copy(envelope(), content)
    assert isinstance(told, Unreachable)
    assert set(server.verbs) <= {"EHLO", "STARTTLS"}


async def test_opportunistic_takes_any_certificate_and_goes_without_where_none_is_offered(
    fake_upstream, next_hop, envelope, authority
):
    odd = await fake_upstream(tls=authority.unknown)
    (outcome,) = await next_hop(odd, tls="opportunistic").deliver_copy(envelope(), content)
    assert isinstance(outcome, Delivered)
    assert b"MAIL" not in odd.clear
    plain = await fake_upstream()
    (outcome,) = await next_hop(plain, tls="opportunistic").deliver_copy(envelope(), content)
    assert isinstance(outcome, Delivered)


async def test_opportunistic_does_not_go_in_clear_where_tls_fails(
    fake_upstream, next_hop, envelope, authority
):
    server = await fake_upstream(tls=authority.good, says={"STARTTLS": b"454 4.7.0 later\r\n"})
    told = await next_hop(server, tls="opportunistic").deliver_copy(envelope(), content)
    assert isinstance(told, Unreachable)
    assert set(server.verbs) == {"EHLO", "STARTTLS"}


async def test_none_does_not_start_tls_even_where_it_is_offered(
    fake_upstream, next_hop, envelope, authority
):
    server = await fake_upstream(tls=authority.good)
    await next_hop(server, tls="none").deliver_copy(envelope(), content)
    assert "STARTTLS" not in server.verbs


async def test_words_slipped_in_before_tls_are_not_heard_after_it(
    fake_upstream, next_hop, envelope, authority
):
    server = await fake_upstream(
        tls=authority.good, after_starttls=b"250-fake\r\n250 SIZE 1\r\n250 2.0.0 taken\r\n"
    )
    (outcome,) = await next_hop(server, tls="starttls").deliver_copy(envelope(), content)
    assert outcome == Delivered(Reply(250, "2.0.0", "taken"))
    assert len(server.taken) == 1


async def test_a_password_is_read_at_use_and_sent_over_tls_only(
    fake_upstream, next_hop, envelope, authority, password_file
):
    server = await fake_upstream(
        tls=authority.good,
        password=("user", "correct horse"),
        extensions=("PIPELINING", "AUTH LOGIN PLAIN"),
    )
    options = {"tls": "starttls", "username": "user", "password_file": password_file}
    (outcome,) = await next_hop(server, **options).deliver_copy(envelope(), content)
    assert isinstance(outcome, Delivered)
    assert server.signed_in == [("user", "correct horse")]
    assert b"AUTH" not in server.clear
    server.password = ("user", "new")
    password_file.write_text("new\n")
    (outcome,) = await next_hop(server, **options).deliver_copy(envelope(), content)
    assert server.signed_in[-1] == ("user", "new")


async def test_a_wrong_password_is_tried_once_and_the_mail_waits(
    fake_upstream, next_hop, envelope, authority, password_file
):
    server = await fake_upstream(
        tls=authority.good, password=("user", "other"), extensions=("AUTH PLAIN LOGIN CRAM-MD5",)
    )
    hop = next_hop(server, tls="starttls", username="user", password_file=password_file)
    told = await hop.deliver_copy(envelope(), content)
    assert isinstance(told, Unreachable)
    assert told.reply.enhanced == "4.7.8"
    assert server.verbs.count("AUTH") == 1
    assert "MAIL" not in server.verbs


async def test_a_password_that_can_not_be_used_is_told(
    fake_upstream, next_hop, envelope, authority, tmp_path, password_file
):
    server = await fake_upstream(tls=authority.good, extensions=("AUTH XOAUTH2",))
    for path, why in (
        (None, "no password_file"),
        (tmp_path / "gone", "No such file"),
        (password_file, "no AUTH"),
    ):
        hop = next_hop(server, tls="starttls", username="u", password_file=path)
        told = await hop.deliver_copy(envelope(), content)
        assert isinstance(told, Unreachable)
        assert why in told.reply.text
    assert "AUTH" not in server.verbs


CANARY = "canary-7f3a-secret"


@pytest.mark.parametrize("echo", [True, False])
async def test_a_password_is_in_no_reply_and_no_log(
    fake_upstream, next_hop, envelope, authority, tmp_path, caplog, capfd, echo
):
    caplog.set_level(logging.DEBUG)
    path = tmp_path / "password"
    path.write_text(CANARY)
    says = {"AUTH": lambda line: f"535 5.7.8 {line} {CANARY}\r\n".encode()} if echo else {}
    server = await fake_upstream(
        tls=authority.good, password=("u", CANARY), extensions=("AUTH PLAIN",), says=says
    )
    hop = next_hop(server, tls="starttls", username="u", password_file=path)
    told = await hop.deliver_copy(envelope(), content)
    encoded = next(line for line in server.lines if line.startswith("AUTH")).split(" ")[2]
    seen = f"{told!r}{caplog.text}{capfd.readouterr()}"
    assert CANARY not in seen
    assert encoded not in seen
    assert isinstance(told, Unreachable) == echo


@given(noise=st.lists(st.sampled_from([b"250 ok\r\n", b"354 go\r\n", b"550 no\r\n", b"250-x\r\n",
    b"421 bye\r\n", b"\r\n", b"999 x\r\n", b"\xff", b"2", b"250", b"250 2.1.0\n", JUNK]), max_size=12))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_no_noise_makes_it_raise_or_claim_what_was_not_taken(
    fake_upstream, next_hop, envelope, noise
):
    """Law: whatever the upstream does, this returns; only what `stamp` raises is raised."""
    server = await fake_upstream(says={"MAIL": b"".join(noise), "RCPT": b"", "DATA": b""})
    told = await next_hop(server, timeouts=Timeouts(1, 1, 0.05, 0.05, 0.05, 0.05)).deliver_copy(
        replace(envelope("b@example.org", "c@example.org")), content
    )
    assert isinstance(told, Unreachable) or len(told) == 2
