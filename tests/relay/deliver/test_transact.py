from typing import Any

import pytest

from relay.reply import Deferred, Delivered, Failed, Reply

DROP = b"\0drop"
CONTENT = b"Subject: hello\r\n\r\nHello\r\n"


def content() -> bytes:
    return CONTENT


async def test_with_pipelining_the_envelope_and_data_are_one_packet(
    fake_upstream: Any, next_hop: Any, envelope: Any
) -> None:
    server = await fake_upstream()
    await next_hop(server).deliver_copy(envelope("b@example.org", "c@example.org"), content)
    assert server.lines == [
        "EHLO relay.example",
        f"MAIL FROM:<a@example.com> SIZE={len(CONTENT)}",
        "RCPT TO:<b@example.org>",
        "RCPT TO:<c@example.org>",
        "DATA",
    ]


async def test_nothing_is_claimed_that_was_not_offered(
    fake_upstream: Any, next_hop: Any, envelope: Any
) -> None:
    server = await fake_upstream(extensions=())
    eight_bit = b"Subject: x\r\n\r\n\xc3\xbc\r\n"
    outcomes = await next_hop(server).deliver_copy(envelope(smtputf8=True), lambda: eight_bit)
    assert isinstance(outcomes[0], Delivered)
    assert server.lines[1] == "MAIL FROM:<a@example.com>"
    assert server.taken[0].content == eight_bit


async def test_what_is_needed_is_said_where_it_is_offered(
    fake_upstream: Any, next_hop: Any, envelope: Any
) -> None:
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


async def test_without_smtputf8_only_those_who_need_it_fail(
    fake_upstream: Any, next_hop: Any, envelope: Any
) -> None:
    server = await fake_upstream(extensions=("PIPELINING",))
    hop = next_hop(server)
    mixed = await hop.deliver_copy(envelope("ü@example.org", "b@example.org"), content)
    assert [type(outcome) for outcome in mixed] == [Failed, Delivered]
    assert mixed[0].reply.enhanced == "5.6.7"
    assert server.taken[0].recipients == ("b@example.org",)
    for needs, text in (
        (envelope(sender="ü@example.com"), CONTENT),
        (envelope(smtputf8=True), "Subject: ü\r\n\r\n".encode()),
    ):
        (outcome,) = await hop.deliver_copy(needs, lambda text=text: text)
        assert outcome.reply.enhanced == "5.6.7"
    assert len(server.taken) == 1
    assert server.connections == 1


async def test_a_server_without_ehlo_is_greeted_the_old_way(
    fake_upstream: Any, next_hop: Any, envelope: Any
) -> None:
    server = await fake_upstream(says={"EHLO": b"502 5.5.1 what?\r\n"})
    outcomes = await next_hop(server).deliver_copy(envelope(), content)
    assert isinstance(outcomes[0], Delivered)
    assert server.verbs[:3] == ["EHLO", "HELO", "MAIL"]


# Each recipient has his own outcome.


def by_recipient(answers: Any) -> Any:
    return lambda line: answers.get(line[line.index("<") + 1 : line.index("@")], b"250 ok\r\n")


@pytest.mark.parametrize("extensions", [("PIPELINING",), ()])
async def test_each_recipient_has_his_own_answer(
    fake_upstream: Any, next_hop: Any, envelope: Any, extensions: Any
) -> None:
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
    fake_upstream: Any, next_hop: Any, envelope: Any, says: Any, expected: Any, extensions: Any
) -> None:
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
    fake_upstream: Any, next_hop: Any, envelope: Any, at: Any, odd: Any, extensions: Any
) -> None:
    server = await fake_upstream(says={at: [odd]}, extensions=extensions)
    (outcome,) = await next_hop(server).deliver_copy(envelope(), content)
    assert isinstance(outcome, Deferred)


async def test_nobody_taken_and_a_354_is_ended_by_an_empty_message(
    fake_upstream: Any, next_hop: Any, envelope: Any
) -> None:
    server = await fake_upstream(says={"RCPT": b"550 5.1.1 no\r\n", "DATA": b"354 well\r\n"})
    outcomes = await next_hop(server).deliver_copy(envelope(), content)
    assert outcomes == (Failed(Reply(550, "5.1.1", "no")),)
    assert [(taken.recipients, taken.content) for taken in server.taken] == [((), b"")]


async def test_more_recipients_than_a_transaction_takes_are_sent_in_several(
    fake_upstream: Any, next_hop: Any, envelope: Any
) -> None:
    server = await fake_upstream()
    many = [f"r{number}@example.org" for number in range(25)]
    hop = next_hop(server, max_recipients_per_transaction=10)
    outcomes = await hop.deliver_copy(envelope(*many), content)
    assert [type(outcome) for outcome in outcomes] == [Delivered] * 25
    assert [len(taken.recipients) for taken in server.taken] == [10, 10, 5]
    assert [one for taken in server.taken for one in taken.recipients] == many
    assert {taken.content for taken in server.taken} == {CONTENT}


async def test_those_too_many_for_the_server_follow_at_once(
    fake_upstream: Any, next_hop: Any, envelope: Any
) -> Any:
    room = [0]

    def rcpt(_line: Any) -> Any:
        room[0] += 1
        return b"250 ok\r\n" if room[0] <= 2 else b"452 4.5.3 too many\r\n"

    def mail(_line: Any) -> Any:
        room[0] = 0
        return b"250 ok\r\n"

    server = await fake_upstream(says={"MAIL": mail, "RCPT": rcpt})
    many = [f"r{number}@example.org" for number in range(5)]
    outcomes = await next_hop(server).deliver_copy(envelope(*many), content)
    assert [type(outcome) for outcome in outcomes] == [Delivered] * 5
    assert sorted(one for taken in server.taken for one in taken.recipients) == many


async def test_the_rest_waits_when_the_connection_breaks_between_transactions(
    fake_upstream: Any, next_hop: Any, envelope: Any
) -> None:
    server = await fake_upstream(says={"MAIL": [b"250 ok\r\n", DROP]})
    hop = next_hop(server, max_recipients_per_transaction=1)
    many = envelope("b@example.org", "c@example.org", "d@example.org")
    outcomes = await hop.deliver_copy(many, content)
    assert [type(outcome) for outcome in outcomes] == [Delivered, Deferred, Deferred]
    assert [taken.recipients for taken in server.taken] == [("b@example.org",)]
