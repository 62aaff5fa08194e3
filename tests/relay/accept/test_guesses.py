"""How long who guesses must wait, by laws and by table."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.accept import guesses as module
from relay.accept.guesses import Guesses

HERE, THERE = ip_address("192.0.2.1"), ip_address("198.51.100.1")


def guess(guesses: Guesses, now: float, number: int, *, peer: object = HERE) -> bool:
    """Try a wrong password; tell whether it got an answer."""
    if guesses.is_banned(peer, now) or not guesses.begin(peer, "alice", now):  # type: ignore[arg-type]
        return False
    guesses.wrong(peer, number, now)  # type: ignore[arg-type]
    return True


@given(st.lists(st.floats(0, 30), max_size=120), st.booleans(), st.booleans())
def test_fewer_than_ten_wrong_tries_in_any_minute_are_answered(
    pauses: list[float], same: bool, at_home: bool
) -> None:
    # Law: of one address fewer than ten wrong tries in any minute are answered, however they come.
    guesses, now = Guesses(), 0.0
    answered: list[float] = []
    if at_home:
        guesses.right(HERE, "alice")
    for number, pause in enumerate(pauses):
        now += pause
        if guess(guesses, now, 0 if same else number):
            answered.append(now)
    for at in answered:
        assert len([one for one in answered if at <= one < at + 60]) < 10


@given(st.lists(st.tuples(st.integers(0, 50), st.floats(0, 5)), max_size=200))
def test_strangers_never_keep_out_an_address_that_has_signed_in(
    tries: list[tuple[int, float]],
) -> None:
    # Law: what strangers try with an account never keeps out an address that has signed in to it.
    guesses, now = Guesses(), 0.0
    guesses.right(HERE, "alice")
    for number, (place, pause) in enumerate(tries):
        now += pause
        guess(guesses, now, number, peer=ip_address(f"198.51.100.{place}"))
    assert not guesses.is_banned(HERE, now)
    assert guesses.begin(HERE, "alice", now)


def test_an_account_that_strangers_guess_at_is_closed_to_them_for_a_while() -> None:
    guesses = Guesses()
    peers = [ip_address(f"198.51.100.{number}") for number in range(40)]
    answered = [guess(guesses, 0.0, number, peer=peer) for number, peer in enumerate(peers)]
    assert answered == [True] * 20 + [False] * 20
    assert not guesses.begin(THERE, "alice", 59)
    assert guesses.begin(THERE, "bob", 59)
    # The tries of ten minutes count, so it is banned anew, twice as long, and then four times.
    assert not guesses.begin(THERE, "alice", 61)
    assert not guesses.begin(THERE, "alice", 180)
    assert not guesses.begin(THERE, "alice", 182)
    assert guesses.begin(THERE, "alice", 700)


def test_a_closed_account_costs_its_finder_no_try_of_his_own() -> None:
    guesses = Guesses()
    for number in range(20):
        guess(guesses, 0.0, number, peer=ip_address(f"198.51.100.{number}"))
    for _ in range(20):
        assert not guesses.begin(HERE, "alice", 1.0)
    assert guesses.begin(HERE, "bob", 1.0)


def test_different_wrong_credentials_lead_to_a_ban_that_doubles() -> None:
    guesses, now = Guesses(), 0.0
    bans: list[float] = []
    for number in range(400):
        now += 10
        if guesses.is_banned(HERE, now):
            continue
        guesses.wrong(HERE, number, now)
        if guesses.is_banned(HERE, now):
            start = now
            while guesses.is_banned(HERE, now):
                now += 1
            bans.append(now - start)
    assert bans[:7] == [60, 120, 240, 480, 960, 1920, 3600]


def test_a_device_with_an_old_password_leads_to_no_ban_of_those_beside_it() -> None:
    guesses = Guesses()
    for number in range(24 * 60):
        now = number * 60.0
        assert guesses.begin(HERE, "alice", now)
        guesses.wrong(HERE, "the old one", now)
        assert not guesses.is_banned(HERE, now)
        guesses.take_back(HERE, "alice")


def test_the_answer_to_a_wrong_try_is_later_each_time() -> None:
    guesses = Guesses()
    delays = [guesses.wrong(HERE, 0, float(number)) for number in range(8)]
    assert delays == [0.25, 0.5, 1, 2, 4, 8, 8, 8]
    assert guesses.wrong(HERE, 0, 8.0 + module._QUIET_S) == 0.25
    assert guesses.wrong(THERE, 0, 8.0) == 0.25


def test_a_try_that_was_right_or_could_not_be_told_is_forgotten() -> None:
    guesses = Guesses()
    for number in range(100):
        assert guesses.begin(HERE, "alice", float(number))
        if number % 2:
            guesses.right(HERE, "alice")
        else:
            guesses.take_back(HERE, "alice")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("192.0.2.1", "192.0.2.2", False),
    ],
)
def test_a_network_of_ipv6_is_one_place(one: str, other: str, same: bool) -> None:
    guesses = Guesses()
    for number in range(9):
        assert guess(guesses, 0.0, number, peer=ip_address(one))
    assert guess(guesses, 0.0, 9, peer=ip_address(other)) is not same


def test_so_many_are_remembered_and_the_oldest_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_KEPT", 3)
    guesses = Guesses()
    for number in range(10):
        peer = ip_address(f"192.0.2.{number}")
        guesses.begin(peer, f"account {number}", 0.0)
        guesses.wrong(peer, 0, 0.0)
        guesses.right(peer, f"account {number}")
    kept = (guesses._places, guesses._targets, guesses._at_home)
    assert [len(records) for records in kept] == [3, 3, 3]
    assert ip_address("192.0.2.9") in guesses._places
    guesses.take_back(HERE, "nobody")
