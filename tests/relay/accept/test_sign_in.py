"""Tries, right and wrong, and what they cost whom."""

import asyncio
from dataclasses import dataclass, field
from ipaddress import ip_address

import pytest

from relay.accept import phrases
from relay.accept.checks import UnknowableError
from relay.accept.login import SignedIn
from relay.accept.sign_in import SignIn
from relay.mail import Credential

HERE, THERE = ip_address("192.0.2.1"), ip_address("198.51.100.1")
RIGHT, WRONG = Credential("Alice@example.com", "right"), Credential("alice@example.com", "wrong")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Check:
    """Knows one password; remembers it where it is told to."""

    remembers: bool = False
    knows: bool = True
    verified: list[Credential] = field(default_factory=list)

    async def recall(self, credential: Credential) -> SignedIn | None:
        return await self._match(credential) if self.remembers else None

    async def verify(self, credential: Credential) -> SignedIn | None:
        self.verified.append(credential)
        return await self._match(credential)

    async def renew(self, signed_in: SignedIn) -> SignedIn | None:
        return None if signed_in.account == "gone" else signed_in

    async def _match(self, credential: Credential) -> SignedIn | None:
        if not self.knows:
            raise UnknowableError
        return SignedIn(credential.username, ()) if credential.password == "right" else None


@pytest.fixture
def waited(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that were waited, which pass at once."""
    seconds: list[float] = []

    async def pass_by(delay_s: float) -> None:
        seconds.append(delay_s)

    monkeypatch.setattr("relay.accept.sign_in.asyncio.sleep", pass_by)
    return seconds


async def test_right_is_right_and_wrong_waits(waited: list[float]) -> None:
    sign_in = SignIn(Check(), Clock())
    assert await sign_in.sign_in(RIGHT, HERE) == SignedIn("Alice@example.com", ())
    assert waited == []
    for _ in range(3):
        assert await sign_in.sign_in(WRONG, HERE) is phrases.WRONG_CREDENTIAL
    assert waited == [0.25, 0.5, 1]


async def test_of_many_tries_at_once_fewer_than_ten_are_answered(waited: list[float]) -> None:
    check = Check()
    sign_in = SignIn(check, Clock())
    tries = [sign_in.sign_in(Credential("alice@example.com", str(n)), HERE) for n in range(1000)]
    answers = await asyncio.gather(*tries)
    assert answers.count(phrases.WRONG_CREDENTIAL) == 9
    assert answers.count(phrases.TOO_MANY_TRIES) == 991
    assert len(check.verified) == len(waited) == 9


async def test_who_has_signed_in_just_now_is_not_kept_out_by_guesses_from_elsewhere(
    waited: list[float],
) -> None:
    check = Check(remembers=True)
    sign_in = SignIn(check, Clock())
    for number in range(100):
        await sign_in.sign_in(Credential("alice@example.com", "x"), ip_address(f"10.0.{number}.1"))
    assert len(waited) == 20
    # Remembered: from an address that nobody has seen.
    assert isinstance(await sign_in.sign_in(RIGHT, THERE), SignedIn)
    check.remembers = False
    assert await sign_in.sign_in(RIGHT, THERE) is phrases.TOO_MANY_TRIES


async def test_an_address_that_guesses_is_banned_with_all_it_knows(waited: list[float]) -> None:
    clock, check = Clock(), Check(remembers=True)
    sign_in = SignIn(check, clock)
    for number in range(20):
        clock.now += 60
        await sign_in.sign_in(Credential(f"{number}@example.com", "x"), HERE)
    assert await sign_in.sign_in(RIGHT, HERE) is phrases.TOO_MANY_TRIES
    assert isinstance(await sign_in.sign_in(RIGHT, THERE), SignedIn)
    clock.now += 61
    assert isinstance(await sign_in.sign_in(RIGHT, HERE), SignedIn)
    assert len(waited) == 20


@pytest.mark.parametrize("remembers", [False, True])
async def test_what_can_not_be_told_is_no_try(waited: list[float], remembers: bool) -> None:
    sign_in = SignIn(Check(remembers, knows=False), Clock())
    for _ in range(50):
        assert await sign_in.sign_in(WRONG, HERE) is phrases.CAN_NOT_TELL
    assert waited == []


async def test_the_check_says_what_somebody_may_still() -> None:
    sign_in = SignIn(Check())
    assert await sign_in.renew(SignedIn("gone", ())) is None
    assert await sign_in.renew(SignedIn("here", ())) == SignedIn("here", ())
