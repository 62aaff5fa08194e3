"""The disk is full, or inodes or descriptors are: no false 250, nothing lost, nothing stuck."""

import asyncio
import contextlib
import os
import re
import secrets
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from tests.durability.mailing import mail, submit
from tests.durability.relays import (
    Parent,
    Relay,
    running_parent,
    write_configuration,
)
from tests.durability.served import SIZE_BYTES, faults, until_quiet
from tests.durability.sink import Sink, running_sink
from tests.ports import free_port

pytestmark = pytest.mark.crash

CYCLES = int(os.environ.get("TEST_DISK_CYCLES", "6"))
ROOM = b"452 4.3.1"
_ROUNDS = 20
_TAKEN = 10
PUT_OFF = (ROOM, b"451 4.3.0", b"421 ")
"""What may be answered while the disk is at fault."""

needs_mount = pytest.mark.skipif(
    os.geteuid() != 0
    or subprocess.run(["unshare", "--mount", "true"], check=False).returncode != 0,
    reason="needs root and mount(2), to make a small file system",
)


@contextmanager
def small_disk(place: Path, options: str) -> Iterator[Path]:
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


@asynccontextmanager
async def relay_on(place: Path, parent: Parent, sink: Sink) -> AsyncIterator[Relay]:
    smtp = free_port()
    write_configuration(place, smtp, sink.port)
    relay = Relay(parent, place, smtp)
    try:
        await relay.start()
        yield relay
    finally:
        relay.kill()


def free_bytes(place: Path) -> int:
    disk = os.statvfs(place)
    return disk.f_bavail * disk.f_frsize


def fill(place: Path, left_bytes: int) -> None:
    """Fill the disk but for so many bytes; what the relay takes meanwhile is full as well."""
    with (place / "ballast").open("ab", buffering=0) as ballast, contextlib.suppress(OSError):
        for piece in (65_536, 4_096):
            while free_bytes(place) >= left_bytes + piece:
                ballast.write(bytes(piece))


@needs_mount
async def test_a_full_disk_is_told_before_mail_is_taken_and_nothing_is_stuck(
    tmp_path: Path,
) -> None:
    promised: dict[int, str] = {}
    refused: dict[int, bytes] = {}
    numbers = iter(range(3, 10**9, 70))  # none of whom the sink refuses or puts off

    async def send(relay: Relay) -> bytes:
        number = next(numbers)
        reply, send_id = await submit(relay.smtp, number, mail(number, SIZE_BYTES))
        if send_id:
            promised[number] = send_id
        else:
            refused[number] = reply
        return reply

    began = time.monotonic()
    with small_disk(tmp_path / "small", "size=8m") as place, running_parent() as parent:
        async with running_sink() as sink, relay_on(place, parent, sink) as relay:
            for cycle in range(CYCLES):
                sink.answer_s = 0.02
                replies = await asyncio.gather(*(send(relay) for _ in range(4)))
                assert {reply[:3] for reply in replies} == {b"250"}, (cycle, replies)
                # Within the reserve marks go on; without a byte they wait, and are made later.
                within_reserve = cycle % 5 != 4
                left_bytes = 400_000 if within_reserve else 0
                for _ in range(_ROUNDS):
                    fill(place, left_bytes)
                    reply = await send(relay)
                    # A relay that is short cuts its logs, and then there is some room again.
                    await asyncio.sleep(0.3)
                    if reply.startswith(ROOM) and free_bytes(place) < left_bytes + 200_000:
                        break
                else:
                    pytest.fail("the disk does not stay full")
                if within_reserve:
                    await until_quiet(place, sink, promised, 200)
                (place / "ballast").unlink()
            await until_quiet(place, sink, promised, 200)
            assert await relay.stop(30) == 0
    assert not faults(sink, promised, set(refused))
    print(  # noqa: T201 - the figure, by pytest -s
        f"{CYCLES} times full: {len(promised)} mails promised and delivered once,"
        f" {len(refused)} refused with 452 4.3.1; {time.monotonic() - began:.0f} s"
    )


@needs_mount
async def test_a_disk_that_fills_while_mail_comes_costs_none(tmp_path: Path) -> None:
    promised: dict[int, str] = {}
    refused: dict[int, bytes] = {}
    stop = asyncio.Event()

    async def client(relay: Relay, first: int) -> None:
        for number in range(first, 10**9, 40):
            if stop.is_set():
                return
            reply, send_id = await submit(relay.smtp, number, mail(number, SIZE_BYTES))
            if send_id:
                promised[number] = send_id
            else:
                refused[number] = reply
                await asyncio.sleep(0.01)

    with small_disk(tmp_path / "small", "size=8m") as place, running_parent() as parent:
        async with running_sink() as sink, relay_on(place, parent, sink) as relay:
            clients = [asyncio.create_task(client(relay, first)) for first in (3, 13, 23, 33)]
            for _ in range(max(CYCLES // 4, 4)):
                await asyncio.sleep(0.2)
                await asyncio.to_thread(fill, place, 0)
                await asyncio.sleep(0.2)
                (place / "ballast").unlink()
            await asyncio.sleep(0.5)
            stop.set()
            await asyncio.gather(*clients)
            await until_quiet(place, sink, promised, 200)
    assert {reply for reply in refused.values() if not reply.startswith(PUT_OFF)} == set()
    assert not faults(sink, promised, set(refused))
    assert promised
    assert refused


async def test_a_log_that_can_not_be_written_holds_up_no_mail(tmp_path: Path) -> None:
    smtp = free_port()
    with running_parent() as parent:
        async with running_sink() as sink:
            write_configuration(tmp_path, smtp, sink.port)
            relay = Relay(parent, tmp_path, smtp)
            try:
                await relay.start(log="/dev/full")
                reply, send_id = await submit(smtp, 3, mail(3, SIZE_BYTES))
                assert reply.startswith(b"250"), reply
                await until_quiet(tmp_path, sink, {3: send_id}, 10)
                assert await relay.stop(30) == 0
            finally:
                relay.kill()


@needs_mount
async def test_without_inodes_mail_goes_on_and_a_start_says_why_it_can_not(tmp_path: Path) -> None:
    with (
        small_disk(tmp_path / "small", "size=64m,nr_inodes=40") as place,
        running_parent() as parent,
    ):
        async with running_sink() as sink, relay_on(place, parent, sink) as relay:
            take_inodes(place)
            reply, send_id = await submit(relay.smtp, 3, mail(3, SIZE_BYTES))
            assert reply.startswith(b"250"), reply
            await until_quiet(place, sink, {3: send_id}, 10)
            assert await relay.stop(30) == 0
            # The logs went with the stop, and what they took is taken by somebody else.
            take_inodes(place)
            await relay.start(listens=False)
            assert not await relay.listens()
            assert re.search(r"(?m)^indicia: .*(No space left|can not be opened)", relay.tail())
            assert "Traceback" not in relay.tail(), relay.tail()
            relay.kill()
            for file in place.glob("inode-*"):
                file.unlink()
            await relay.start()
            reply, send_id = await submit(relay.smtp, 13, mail(13, SIZE_BYTES))
            await until_quiet(place, sink, {13: send_id}, 10)


def take_inodes(place: Path) -> None:
    with contextlib.suppress(OSError):
        for _ in range(100):
            (place / f"inode-{secrets.token_hex(4)}").touch()


async def test_without_descriptors_some_are_turned_away_and_none_is_lost(tmp_path: Path) -> None:
    smtp = free_port()
    promised: dict[int, str] = {}
    with running_parent() as parent:
        async with running_sink() as sink:
            write_configuration(tmp_path, smtp, sink.port)
            relay = Relay(parent, tmp_path, smtp)

            async def client(number: int) -> bytes:
                reply, send_id = await submit(smtp, number, mail(number, SIZE_BYTES))
                if send_id:
                    promised[number] = send_id
                return reply

            try:
                await relay.start(descriptors=96)
                idle = []
                for _ in range(100):
                    try:
                        idle.append(await asyncio.open_connection("127.0.0.1", smtp))
                    except OSError:
                        break
                replies = await asyncio.gather(*(client(number) for number in range(3, 300, 10)))
                assert not relay.has_ended(), relay.tail()
                for _, writer in idle:
                    writer.close()
                for number in range(303, 3303, 10):  # what was closed is not seen at once
                    replies.append(await client(number))
                    if len(promised) >= _TAKEN:
                        break
                    await asyncio.sleep(0.02)
                await until_quiet(tmp_path, sink, promised, 60)
                assert await relay.stop(30) == 0
            finally:
                relay.kill()
    assert {reply for reply in replies if not re.match(rb"250|421|451|452|$", reply)} == set()
    assert len(promised) >= _TAKEN
    assert not faults(sink, promised, set())
