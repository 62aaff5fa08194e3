import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.hit import Trace
from collector.lately import MAX_NETWORKS, MAX_TRIED, MEMORY_S, Lately
from collector.sweeps import ALTERED_TOKEN, LOOKED_FIRST
from ledger import schema
from ledger.token import HitKind

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
GOOD = b"AbCdEfGhIjKlMnOpQrStUvWxYz0123456789"
HEADERS = {"accept": "present"}


def trace(network: str = "n", agent: str = "Scanner/1", **headers: str) -> Trace:
    return Trace(AT, HitKind.CLICK, 0, agent, headers or HEADERS, network)


@pytest.mark.parametrize(
    ("altered", "known"),
    [
        (GOOD + b"x", True),
        (GOOD + b"%27", True),
        (GOOD.lower(), True),
        (GOOD[:20] + b"_" + GOOD[21:], True),
        (GOOD[:3] + b"_" + GOOD[4:], True),  # its other end stays
        (GOOD[:-1], True),
        (GOOD[::-1], False),
        (GOOD[12:24], False),
        (b"", False),
        (b"\x00" * 4_000, False),
    ],
)
def test_a_token_is_known_again_in_its_alterations(altered: bytes, known: bool) -> None:
    lately = Lately()
    lately.note_altered(altered, trace(), 0.0)
    assert lately.signs(GOOD, trace(), 1.0) == (ALTERED_TOKEN,) * known


@pytest.mark.parametrize(
    ("hit", "stands"),
    [
        (trace(), True),
        (trace(agent="Another/2"), True),  # a scanner that changes its name has the same fields
        (trace(range="bytes=0-"), True),  # … or the same name
        (trace(agent="Mozilla/5.0", **{"sec-fetch-dest": "image"}), False),  # a person beside it
        (trace("m"), False),
        (trace(""), False),
    ],
)
def test_a_sign_stands_on_hits_of_the_network_that_are_alike(hit: Trace, stands: bool) -> None:
    lately = Lately()
    lately.note_altered(GOOD + b"x", trace(), 0.0)
    lately.note_look(GOOD, trace(), 0.0)
    assert lately.signs(GOOD, hit, 1.0) == (ALTERED_TOKEN, LOOKED_FIRST) * stands


def test_a_look_at_one_link_is_a_sign_on_the_others_of_its_copy() -> None:
    lately = Lately()
    lately.note_look(GOOD, trace(), 0.0)
    assert lately.signs(GOOD[:12] + b"x" * 24, trace(), 1.0) == (LOOKED_FIRST,)
    assert lately.signs(b"x" + GOOD[1:], trace(), 1.0) == ()


def test_who_can_not_be_told_from_others_is_not_remembered() -> None:
    lately = Lately()
    lately.note_altered(GOOD + b"x", trace(""), 0.0)
    assert lately.signs(GOOD, trace(""), 1.0) == ()


def test_after_two_minutes_nothing_is_left() -> None:
    lately = Lately()
    lately.note_altered(GOOD + b"x", trace(), 0.0)
    assert lately.signs(GOOD, trace(), MEMORY_S) == (ALTERED_TOKEN,)
    assert lately.signs(GOOD, trace(), MEMORY_S + 0.1) == ()


def test_one_network_makes_the_memory_forget_its_own_tries_only() -> None:
    lately = Lately()
    lately.note_altered(GOOD + b"x", trace("n"), 0.0)
    lately.note_altered(GOOD + b"x", trace("m"), 0.0)
    for number in range(MAX_TRIED):
        lately.note_altered(b"%036d" % number, trace("m"), 0.0)
    assert lately.signs(GOOD, trace("n"), 1.0) == (ALTERED_TOKEN,)
    assert lately.signs(GOOD, trace("m"), 1.0) == ()


def test_of_too_many_networks_the_one_silent_longest_is_forgotten() -> None:
    lately = Lately()
    for network in ("first", "second", "first"):
        lately.note_altered(GOOD + b"x", trace(network), 0.0)
    for number in range(MAX_NETWORKS - 1):
        lately.note_altered(GOOD + b"x", trace(str(number)), 0.0)
    assert lately.signs(GOOD, trace("first"), 1.0) == (ALTERED_TOKEN,)
    assert lately.signs(GOOD, trace("second"), 1.0) == ()


networks, agents = st.sampled_from("nm"), st.sampled_from(["A", "B"])
fields = st.sampled_from([{"accept": "present"}, {"via": "present"}])
tries = st.lists(
    st.tuples(st.booleans(), st.floats(0, 90), networks, agents, fields), max_size=MAX_TRIED // 8
)


@given(tries, networks, agents, fields)
def test_law_a_sign_stands_only_on_its_own_network_and_the_like_of_it(
    steps: list[tuple[bool, float, str, str, Mapping[str, str]]],
    network: str,
    agent: str,
    headers: Mapping[str, str],
) -> None:
    """Law: a sign stands only on a request from the network that gave it, alike in agent or
    headers, within MEMORY_S.
    """
    lately, now = Lately(), 0.0
    due: set[str] = set()
    moments: list[tuple[float, str]] = []
    for altered, pause, where, who, said in steps:
        now += pause
        tried = trace(where, who, **said)
        if altered:
            lately.note_altered(GOOD + b"x", tried, now)
        else:
            lately.note_look(GOOD, tried, now)
        if where == network and (who == agent or said == headers):
            moments.append((now, ALTERED_TOKEN if altered else LOOKED_FIRST))
    due = {sign for at, sign in moments if now - at <= MEMORY_S}
    assert set(lately.signs(GOOD, trace(network, agent, **headers), now)) == due


# Through a collector, over its socket

SCANNER = {
    "User-Agent": "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 "
    "(KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
    "Accept": "*/*",
    "Accept-Language": "en",
}
PERSON = {**SCANNER, "User-Agent": SCANNER["User-Agent"] + " Edg/131.0", "Sec-Fetch-Dest": "image"}
BEHIND = {"collector": {"trusted_proxies": ["127.0.0.0/8"]}}
URL = "https://example.net/offer"


def by(address: str, headers: Mapping[str, str]) -> dict[str, str]:
    return {**headers, "X-Forwarded-For": address}


def altered(target: str) -> str:
    return target[:38] + "x" + target[38:]


async def test_a_scanner_that_alters_the_token_first_is_told_as_a_machine(
    house: Any, serve: Any
) -> None:
    await house.send(7, links={1: URL})
    async with serve(house, **BEHIND):
        link, scanner = house.link(7, 1, URL), by("203.0.113.9", SCANNER)
        assert (await house.ask(altered(link), scanner)).status == 404
        assert (await house.ask(link, scanner)).status == 302
        (clicked,) = await house.events_when(1)
    assert (clicked.classification, clicked.first) == ("scanner", False)
    assert "altered_token" in clicked.reasons


async def test_without_the_altered_token_the_same_is_told_as_a_person(
    house: Any, serve: Any
) -> None:
    await house.send(7, links={1: URL})
    async with serve(house, **BEHIND):
        await house.ask(house.link(7, 1, URL), by("203.0.113.9", SCANNER))
        (clicked,) = await house.events_when(1)
    assert clicked.classification == "human_likely"


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS"])
async def test_a_look_at_the_head_counts_on_the_hit_that_follows(
    house: Any, serve: Any, method: str
) -> None:
    await house.send(7, links={1: URL})
    await house.send(8)
    async with serve(house, **BEHIND):
        scanner = by("203.0.113.9", SCANNER)
        for target in (house.link(7, 1, URL), house.pixel(8)):
            await house.ask(target, scanner, method=method)
            assert await house.rows(schema.hits) == []
            await house.ask(target, scanner)
            *_, event = await house.events_when(1 if "/c/" in target else 2)
            assert "looked_first" in event.reasons
            async with house.stores.ledger.write() as connection:
                await connection.execute(schema.hits.delete())


async def test_a_flood_of_altered_tokens_hides_no_persons_open(house: Any, serve: Any) -> None:
    await house.send(7)
    async with serve(house, **BEHIND):
        pixel = house.pixel(7)
        elsewhere = [by(f"198.18.{number}.1", PERSON) for number in range(1, 255)]
        beside = [by("203.0.113.66", {"User-Agent": f"Scan/{number}"}) for number in range(50)]
        flood = [house.ask(altered(pixel), who) for who in (*elsewhere, *beside)]
        await asyncio.gather(*flood, house.ask(pixel, by("203.0.113.9", PERSON)))
        (opened,) = await house.events_when(1)
    assert (opened.classification, opened.first) == ("human_likely", True)
    assert "altered_token" not in opened.reasons


async def test_nothing_of_what_was_tried_is_on_the_disk(house: Any, serve: Any) -> None:
    await house.send(7, links={1: URL})
    async with serve(house, **BEHIND):
        canary = by("203.0.113.9", {"User-Agent": "Canary-Agent/77"})
        await house.ask(altered(house.pixel(7)), canary)
        await house.ask(house.pixel(7), canary, method="HEAD")
        await house.ask(house.pixel(7), by("198.51.100.7", PERSON))
        await house.events_when(1)
    state = house.settings.server.state_dir
    held = b"".join(file.read_bytes() for file in state.iterdir() if file.is_file())
    assert b"offer" in held
    assert b"Canary" not in held
    assert b"203.0.113" not in held
