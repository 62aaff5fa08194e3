"""How many are let in, and how they are sent away."""

import asyncio
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest

from relay.accept import door as door_module
from relay.accept.door import Door
from relay.reply import Reply

OK = Reply(250, "2.0.0", "OK")


@dataclass(eq=False)
class Visitor:
    """A session that goes when it is told, or only when it must."""

    peer: IPv4Address | IPv6Address | None = field(default_factory=lambda: ip_address("192.0.2.1"))
    trusted: bool = False
    stubborn: bool = False
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    aborted: bool = False

    def send_away(self) -> None:
        if not self.stubborn:
            self.ended.set()

    def abort(self) -> None:
        self.aborted = True
        asyncio.get_running_loop().call_soon(self.ended.set)


def test_so_many_strangers_of_one_address_are_let_in_and_no_more() -> None:
    door, visitors = Door(), [Visitor() for _ in range(50)]
    assert all(door.enter(visitor) for visitor in visitors)
    refused = Visitor()
    assert not door.enter(refused)
    door.leave(refused)
    assert door.enter(Visitor(peer=ip_address("192.0.2.2")))
    door.leave(visitors[0])
    assert door.enter(Visitor())


def test_a_stranger_comes_so_often_a_minute_and_our_own_people_as_they_like() -> None:
    door = Door()
    for _ in range(300):
        visitor = Visitor()
        assert door.enter(visitor)
        door.leave(visitor)
    assert not door.enter(Visitor())
    assert door.enter(Visitor(peer=ip_address("192.0.2.2")))
    assert door.enter(Visitor(trusted=True))


def test_who_has_signed_in_leaves_his_place_to_another_stranger(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(door_module, "_MAX_CONNECTIONS_PER_STRANGER", 1)
    door, first, second = Door(), Visitor(), Visitor()
    assert door.enter(first)
    assert not door.enter(second)
    door.vouch(first)
    assert door.enter(second)
    door.leave(first)
    assert not door.enter(Visitor())


def test_strangers_together_can_not_keep_our_own_people_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(door_module, "_MAX_STRANGERS", 2)
    door = Door()
    first, second, third = (Visitor(peer=ip_address(f"192.0.2.{number}")) for number in range(3))
    assert door.enter(first)
    assert door.enter(second)
    assert not door.enter(third)
    assert all(door.enter(Visitor(trusted=True)) for _ in range(100))
    door.leave(first)
    door.leave(first)
    assert door.enter(third)


def test_there_is_a_limit_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door_module, "_MAX_CONNECTIONS", 2)
    door, own = Door(), Visitor(trusted=True)
    assert door.enter(own)
    assert door.enter(Visitor(trusted=True))
    assert not door.enter(Visitor(trusted=True))
    door.leave(own)
    assert door.enter(Visitor(trusted=True))


async def test_all_are_sent_away_and_those_who_stay_too_long_are_cut_off() -> None:
    door, polite, stubborn = Door(), Visitor(), Visitor(stubborn=True)
    door.enter(polite)
    door.enter(stubborn)
    await door.empty(grace_s=0.01)
    assert stubborn.aborted
    assert polite.ended.is_set()


async def test_what_was_read_whole_is_taken_in_though_its_client_goes() -> None:
    door, gate, taken = Door(), asyncio.Event(), []

    async def take_in() -> Reply:
        await gate.wait()
        taken.append(1)
        return OK

    session = asyncio.ensure_future(door.take_in(take_in()))
    await asyncio.sleep(0)
    session.cancel()
    with pytest.raises(asyncio.CancelledError):
        await session
    asyncio.get_running_loop().call_soon(gate.set)
    await door.empty(grace_s=1)
    assert taken == [1]


async def test_a_client_that_waits_gets_the_reply() -> None:
    async def take_in() -> Reply:
        return OK

    assert await Door().take_in(take_in()) is OK
