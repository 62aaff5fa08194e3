import asyncio
from typing import Any

import pytest

from relay.deliver.hop import Unreachable
from relay.mail import Credential
from relay.reply import Delivered, Reply
from relay.upstream import Timeouts

DROP = b"\0drop"
CONTENT = b"Subject: hello\r\n\r\nHello\r\n"


def content() -> bytes:
    return CONTENT


async def test_one_connection_serves_one_mail_after_the_other(
    fake_upstream: Any, next_hop: Any, envelope: Any
) -> None:
    server = await fake_upstream()
    hop = next_hop(server)
    for _ in range(5):
        await hop.deliver_copy(envelope(), content)
    assert (server.connections, len(server.taken)) == (1, 5)


async def test_never_more_connections_than_allowed(
    fake_upstream: Any, next_hop: Any, envelope: Any
) -> None:
    server = await fake_upstream()
    hop = next_hop(server, max_connections=2)
    told = await asyncio.gather(*(hop.deliver_copy(envelope(), content) for _ in range(30)))
    assert all(isinstance(outcomes[0], Delivered) for outcomes in told)
    assert server.most_at_once == 2
    assert len(server.taken) == 30


@pytest.mark.parametrize("fault", [DROP, b"421 4.4.2 too long idle\r\n"])
async def test_a_kept_connection_that_went_away_is_replaced_unseen(
    fake_upstream: Any, next_hop: Any, envelope: Any, fault: Any
) -> None:
    server = await fake_upstream(says={"MAIL": [b"250 ok\r\n", b"250 ok\r\n", fault, fault]})
    hop = next_hop(server)
    await asyncio.gather(*(hop.deliver_copy(envelope(), content) for _ in range(2)))
    (outcome,) = await hop.deliver_copy(envelope(), content)
    assert isinstance(outcome, Delivered)
    assert len(server.taken) == 3


async def test_a_kept_connection_that_was_cut_is_not_used(
    fake_upstream: Any, next_hop: Any, envelope: Any
) -> None:
    server = await fake_upstream()
    hop = next_hop(server)
    await hop.deliver_copy(envelope(), content)
    server.cut()
    (outcome,) = await hop.deliver_copy(envelope(), content)
    assert isinstance(outcome, Delivered)
    assert server.connections == 2


async def test_a_kept_connection_that_spoke_unasked_is_closed(
    fake_upstream: Any, next_hop: Any, envelope: Any
) -> None:
    server = await fake_upstream(says={".": [b"250 2.0.0 taken\r\n250 2.0.0 and more\r\n"]})
    hop = next_hop(server)
    for _ in range(2):
        assert isinstance((await hop.deliver_copy(envelope(), content))[0], Delivered)
    assert server.connections == 2


async def test_a_kept_connection_that_said_goodbye_is_not_used(
    fake_upstream: Any, next_hop: Any, envelope: Any
) -> None:
    server = await fake_upstream()
    hop = next_hop(server)
    await hop.deliver_copy(envelope(), content)
    (kept,) = hop._pool._kept
    server._writers[0].write(b"421 4.4.2 idle too long\r\n")
    while kept.wire.usable:  # noqa: ASYNC110 - until it has come
        await asyncio.sleep(0)
    assert isinstance((await hop.deliver_copy(envelope(), content))[0], Delivered)
    assert server.connections == 2


async def test_a_connection_used_again_is_not_closed_as_idle(
    fake_upstream: Any, next_hop: Any, envelope: Any
) -> None:
    server = await fake_upstream()
    hop = next_hop(server, timeouts=Timeouts(1, 1, 1, 1, 1, 1, idle_s=0.05))
    loop = asyncio.get_running_loop()
    began = loop.time()
    while loop.time() < began + 0.2:
        await hop.deliver_copy(envelope(), content)
    assert server.connections == 1


async def test_an_idle_connection_is_closed_by_quit(
    fake_upstream: Any, next_hop: Any, envelope: Any
) -> Any:
    closed = asyncio.Event()

    def bye(_line: Any) -> Any:
        closed.set()
        return b"221 bye\r\n"

    server = await fake_upstream(says={"QUIT": bye})
    hop = next_hop(server, timeouts=Timeouts(1, 1, 1, 1, 1, 1, idle_s=0.05))
    await hop.deliver_copy(envelope(), content)
    await asyncio.wait_for(closed.wait(), 2)
    assert isinstance((await hop.deliver_copy(envelope(), content))[0], Delivered)
    assert server.connections == 2


async def test_where_the_upstream_allows_fewer_those_are_shared(
    fake_upstream: Any, next_hop: Any, envelope: Any
) -> Any:
    greeting = [b"220 welcome\r\n", b"220 welcome\r\n"]

    def greet(_line: Any) -> Any:
        return greeting.pop() if greeting else b"421 4.7.0 too many connections\r\n"

    server = await fake_upstream(says={"CONNECT": greet})
    hop = next_hop(server, max_connections=5)
    told = await asyncio.gather(*(hop.deliver_copy(envelope(), content) for _ in range(20)))
    assert all(isinstance(outcomes[0], Delivered) for outcomes in told)
    assert len(server.taken) == 20
    assert server.connections <= 2 + 3


RESTS = Timeouts(1, 1, 1, 1, 1, 1, first_rest_s=0.2, last_rest_s=0.2)


async def test_an_upstream_that_was_not_reached_rests(
    fake_upstream: Any, next_hop: Any, envelope: Any
) -> None:
    server = await fake_upstream(says={"CONNECT": b"554 5.3.2 closed\r\n"})
    hop = next_hop(server, max_connections=1)
    told = await asyncio.gather(*(hop.deliver_copy(envelope(), content) for _ in range(20)))
    assert all(isinstance(one, Unreachable) for one in told)
    assert "554" in told[-1].reply.text
    assert hop.resting
    assert server.connections == 1


async def test_after_the_rest_one_connection_is_tried_and_all_are_again(
    fake_upstream: Any, next_hop: Any, envelope: Any
) -> None:
    server = await fake_upstream(says={"CONNECT": [DROP, DROP]})
    hop = next_hop(server, max_connections=1, timeouts=RESTS)
    assert isinstance(await hop.deliver_copy(envelope(), content), Unreachable)
    while hop.resting:  # noqa: ASYNC110 - until the clock of the loop has gone on
        await asyncio.sleep(0.01)
    assert isinstance(await hop.deliver_copy(envelope(), content), Unreachable)
    assert server.connections == 2
    while hop.resting:  # noqa: ASYNC110 - the same
        await asyncio.sleep(0.01)
    (outcome,) = await hop.deliver_copy(envelope(), content)
    assert isinstance(outcome, Delivered)
    assert not hop.resting


async def test_while_one_is_tried_after_a_rest_no_other_is(
    fake_upstream: Any, next_hop: Any, envelope: Any
) -> None:
    tried = asyncio.Event()

    def hold(_line: str) -> bytes:
        tried.set()
        return b""

    server = await fake_upstream(says={"CONNECT": [DROP]})
    hop = next_hop(server, max_connections=3, timeouts=RESTS)
    await hop.deliver_copy(envelope(), content)
    while hop.resting:  # noqa: ASYNC110 - until the clock of the loop has gone on
        await asyncio.sleep(0.01)
    server.says["CONNECT"] = hold
    trial = asyncio.create_task(hop.deliver_copy(envelope(), content))
    await tried.wait()
    assert hop.resting
    assert isinstance(await hop.deliver_copy(envelope(), content), Unreachable)
    assert isinstance(await trial, Unreachable)
    assert server.connections == 2


async def test_an_upstream_that_takes_no_mail_rests_too(
    fake_upstream: Any, next_hop: Any, envelope: Any
) -> None:
    server = await fake_upstream(says={"MAIL": b"421 4.3.2 going down\r\n"})
    hop = next_hop(server)
    told = await hop.deliver_copy(envelope(), content)
    assert isinstance(told, Unreachable)
    assert told.reply == Reply(421, "4.3.2", "going down")
    assert hop.resting


async def test_those_who_were_refused_beside_others_are_told_when_these_end(
    fake_upstream: Any, next_hop: Any, envelope: Any
) -> None:
    server = await fake_upstream(says={"CONNECT": [b"220 hello\r\n"], "DATA": DROP})
    server.says["CONNECT"] = [b"220 hello\r\n", *[b"421 4.7.0 enough\r\n"] * 9]
    hop = next_hop(server, max_connections=3)
    told = await asyncio.gather(*(hop.deliver_copy(envelope(), content) for _ in range(3)))
    assert sorted(type(one).__name__ for one in told) == ["Unreachable", "Unreachable", "tuple"]


ANN, BOB = Credential("ann@x.example", "a"), Credential("bob@x.example", "b")
PEOPLE = {ANN.username: ANN.password, BOB.username: BOB.password}


async def test_nobody_is_lent_a_connection_of_another(
    fake_upstream: Any, next_hop: Any, envelope: Any, authority: Any
) -> None:
    """Law: nobody is lent a connection that was signed in for another."""
    server = await fake_upstream(tls=authority.good, extensions=("AUTH PLAIN",), people=PEOPLE)
    hop = next_hop(server, tls="starttls", max_connections=3)
    senders = [ANN, BOB, None] * 8
    told = await asyncio.gather(
        *(
            hop.deliver_copy(envelope(f"{number}@x.example"), content, sender)
            for number, sender in enumerate(senders)
        )
    )
    assert all(isinstance(outcomes[0], Delivered) for outcomes in told)
    sent = {one.recipients[0]: one.person for one in server.taken}
    assert sent == {
        f"{number}@x.example": sender.username if sender else ""
        for number, sender in enumerate(senders)
    }
    assert server.most_at_once <= 3


async def test_what_is_kept_for_others_gives_way(
    fake_upstream: Any, next_hop: Any, envelope: Any, authority: Any
) -> None:
    server = await fake_upstream(tls=authority.good, extensions=("AUTH PLAIN",), people=PEOPLE)
    hop = next_hop(server, tls="starttls", max_connections=1)
    for sender in (ANN, BOB, ANN, ANN, None):
        assert isinstance((await hop.deliver_copy(envelope(), content, sender))[0], Delivered)
    assert [one.person for one in server.taken] == [
        *(ANN.username, BOB.username, ANN.username, ANN.username),
        "",
    ]
    assert (server.connections, server.most_at_once) == (4, 1)


async def test_where_the_upstream_allows_fewer_what_is_kept_for_others_gives_way(
    fake_upstream: Any, next_hop: Any, envelope: Any, authority: Any
) -> None:
    server = await fake_upstream(tls=authority.good, extensions=("AUTH PLAIN",), people=PEOPLE)
    server.says["CONNECT"] = lambda _line: (
        b"220 welcome\r\n" if server.at_once < 2 else b"421 4.7.0 one at a time\r\n"
    )
    hop = next_hop(server, tls="starttls", max_connections=3)
    for sender in (ANN, BOB, ANN):
        assert isinstance((await hop.deliver_copy(envelope(), content, sender))[0], Delivered)
    assert not hop.resting


async def test_a_person_who_is_not_let_in_rests_alone(
    fake_upstream: Any, next_hop: Any, envelope: Any, authority: Any
) -> None:
    server = await fake_upstream(tls=authority.good, extensions=("AUTH PLAIN",), people=PEOPLE)
    hop = next_hop(server, tls="starttls", timeouts=RESTS)
    wrong = Credential(ANN.username, "changed")
    for _ in range(5):
        told = await hop.deliver_copy(envelope(), content, wrong)
        assert told == Unreachable(told.reply, refused=True)
    # An account is locked by many tries: one is made, and after the rest another.
    assert server.verbs.count("AUTH") == 1
    assert isinstance((await hop.deliver_copy(envelope(), content, ANN))[0], Delivered)
    loop = asyncio.get_running_loop()
    until_s = hop._pool._people[wrong].until_s
    while loop.time() < until_s:  # noqa: ASYNC110 - until the clock of the loop has gone on
        await asyncio.sleep(0.01)
    server.people[ANN.username] = "changed"
    assert isinstance((await hop.deliver_copy(envelope(), content, wrong))[0], Delivered)
    assert hop._pool._people == {}


async def test_those_who_were_refused_long_ago_are_forgotten(
    fake_upstream: Any, next_hop: Any, envelope: Any, authority: Any, monkeypatch: Any
) -> None:
    server = await fake_upstream(tls=authority.good, extensions=("AUTH PLAIN",))
    hop = next_hop(server, tls="starttls")
    await hop.deliver_copy(envelope(), content, ANN)
    loop = asyncio.get_running_loop()
    later_s = loop.time() + 1000
    monkeypatch.setattr(loop, "time", lambda: later_s)
    await hop.deliver_copy(envelope(), content, BOB)
    assert list(hop._pool._people) == [BOB]
