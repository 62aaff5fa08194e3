"""What was promised with 250, kept until it is settled.

Nobody hears that something is stored before the transaction it is in has been flushed.  One task
writes: all that has arrived since the last commit goes into the next transaction.

Law: what is stored is claimed until it is settled, and each recipient is settled once.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError

from ledger import spooled
from ledger.engine import Store, Where
from ledger.outbox import Remembered
from relay.batch import (
    Adopting,
    Claiming,
    Job,
    Renewing,
    Step,
    Written,
    claim_of,
    fresh_ident,
    write_batch,
)
from relay.pack import pack_template, unpack_template
from relay.promise import Claim, CopyIdTaken, Settlement, SpoolError, Stored, Unstorable
from relay.straight import Carrier, place_copies
from relay.template import Template

_MAX_JOBS = 200
"""In one transaction: ten times what a commit gathers under load, few enough for one IN list."""

_MAX_BATCH_BYTES = 32 * 1024 * 1024
"""Of templates in one transaction, so that the write-ahead log stays small beside the spool."""

_MAX_CACHE_BYTES = 16 * 1024 * 1024
"""Of templates kept unpacked for the copies that wait: hundreds of mails of the usual 5 to 60 KB,
or one of any size, whose copies are due one after the other."""

_FEW = 50
"""Steps of one row each that may hold up the loop: some 2 ms."""

_LONG_BYTES = 256 * 1024
"""Packing more than this takes milliseconds, and the loop has others to serve: in a thread."""

_log = structlog.get_logger()


class Spool:
    """The spool of one process; built inside a running loop, over a store that is migrated."""

    def __init__(self, store: Store, lessee: str = "") -> None:
        """Start the writer; claims are leased to `lessee`."""
        self._store = store
        self._lessee = lessee
        self.wake = asyncio.Event()
        """Set when something was stored or is to be tried again; dispatch clears it."""
        self.owed = asyncio.Event()
        """Set when the ledger is owed facts; the forwarder clears it."""
        self.carrier: Carrier | None = None
        """Who takes new mail at once; None: it waits until it is claimed."""
        self.remembered = Remembered()
        """What it is owed, for the forwarder."""
        self._jobs: list[Job] = []
        self._arrived = asyncio.Event()
        self._closing = False
        self._templates = _TemplateCache()
        self._writer = asyncio.create_task(self._write_batches(), name="spool writer")

    async def store(self, stored: Stored) -> None:
        """Return when the send is durable.

        Raises CopyIdTaken where other ids must be drawn, Unstorable where it can not be written,
        else SpoolError where nothing was stored.
        """
        await self._submit(stored, (stored,))

    async def settle(self, settlement: Settlement) -> bool:
        """Return True when the outcomes are durable, False where the lease was lost.

        Of a lost lease nothing is written.

        Raises CopyIdTaken where the notices need other ids, SpoolError where nothing was written.
        """
        held: bool = await self._submit(settlement, settlement.notices)
        return held

    async def claim(
        self, limit: int, now: datetime, lease_s: int, lane: str | None = None
    ) -> tuple[Claim, ...]:
        """Return copies that are due, oldest first, which nobody else gets for `lease_s`.

        Those of a lane, or of all.

        Raises SpoolError where the spool can not be read or written.
        """
        lease = fresh_ident(now)
        until = now + timedelta(seconds=lease_s)
        step = Claiming(limit, now, spooled.Lease(lease, self._lessee, until), lane)
        due, pending = await self._submit(step)
        templates = await self._templates_of(due)
        return tuple(
            claim_of(copy, pending[copy.copy_id], lease, templates[copy.send_id])
            for copy in due
            # Neither is there where the queue was told to drop the copy in between.
            if copy.copy_id in pending and copy.send_id in templates
        )

    async def renew(self, claims: Iterable[Claim], now: datetime, lease_s: int) -> None:
        """Move the end of leases that are still held to `lease_s` from now."""
        leases = {claim.copy.copy_id: claim.lease for claim in claims}
        await self._submit(Renewing(leases, now + timedelta(seconds=lease_s)))

    async def adopt(self, lanes: Sequence[str]) -> None:
        """Let copies that wait in none of these lanes wait in the first of them."""
        await self._submit(Adopting(tuple(lanes)))

    async def next_due_at(
        self, now: datetime, lanes: Sequence[str | None] = (None,)
    ) -> datetime | None:
        """Return when a copy is due or its lease ends next, not before now; None: nothing waits.

        Of these lanes; None is all.
        """
        async with self._store.read() as connection:
            times = [await spooled.next_due_at(connection, lane) for lane in lanes]
        waits = [max(due_at, now) for due_at in times if due_at is not None]
        return min(waits, default=None)

    async def close(self) -> None:
        """Write what has arrived, and end. The store stays open."""
        self._closing = True
        self._arrived.set()
        await self._writer

    async def _submit(self, step: Step, sends: Sequence[Stored] = ()) -> Any:  # noqa: ANN401 - each step has its own answer
        packed: list[bytes] = [await _pack(stored.template) for stored in sends]
        if self._closing:
            msg = "the spool is closing"
            raise SpoolError(msg)
        size_bytes = sum(map(len, packed))
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._jobs.append(Job(step, tuple(zip(sends, packed, strict=True)), done, size_bytes))
        self._arrived.set()
        return await done

    async def _write_batches(self) -> None:
        while self._jobs or not self._closing:
            await self._arrived.wait()
            self._arrived.clear()
            while self._jobs:
                await self._write_batch()

    async def _write_batch(self) -> None:
        # Its messages are let go of when it ends, not when the next one begins.
        batch = self._take_batch()
        self._place(batch)
        await self._commit(batch)

    def _take_batch(self) -> list[Job]:
        taken, size_bytes = 0, 0
        for job in self._jobs[:_MAX_JOBS]:
            size_bytes += job.size_bytes
            if taken and size_bytes > _MAX_BATCH_BYTES:
                break
            taken += 1
        batch, self._jobs = self._jobs[:taken], self._jobs[taken:]
        return batch

    def _place(self, jobs: list[Job]) -> None:
        carrier = self.carrier
        if carrier is None:
            return
        for job in jobs:
            for stored, _ in job.sends:
                # Reports are not stored after all where the lease of what they tell of is lost.
                new = isinstance(job.step, Stored)
                lease = fresh_ident(stored.submission.received_at) if new else None
                job.placed.update(place_copies(stored, carrier, lease))

    async def _commit(self, jobs: list[Job]) -> None:
        applied = False

        def apply(connection: Connection) -> Written:
            nonlocal applied
            written = write_batch(connection, jobs, self._lessee)
            applied = True
            return written

        try:
            written = await self._store.transact(apply, _where(jobs))
        except Exception as error:  # noqa: BLE001 - whatever it is, each caller must hear of it
            if applied or _is_lost(error):
                await self._fail(jobs, error)
            elif len(jobs) == 1:
                self._release(jobs)
                _reject(jobs[0], error)
            else:
                # One item is at fault and must not take the others with it.
                for job in jobs:
                    await self._commit([job])
            return
        self.remembered.keep(written.owed)
        if any(job.sends or isinstance(job.step, Settlement) for job in jobs):
            self._store.fault = None  # a claim of nothing would flush nothing
        for job, answer in zip(jobs, written.answers, strict=True):
            self._remember(job)
            _resolve(job.done, answer)

    async def _fail(self, jobs: list[Job], error: Exception) -> None:
        _log.error("spool.failed", jobs=len(jobs), error=str(error))
        self._release(jobs)
        self._store.fault = str(getattr(error, "orig", error))
        for job in jobs:
            _resolve(job.done, SpoolError(f"the spool could not be written: {error}"))
        # After EIO or a full disk the connection's state is not to be trusted.
        await self._store.reopen()

    def _release(self, jobs: list[Job]) -> None:
        for placed in (one for job in jobs for one in job.placed.values()):
            if placed.claim is not None and self.carrier is not None:
                self.carrier.release(placed.claim)

    def _remember(self, job: Job) -> None:
        claims = [one.claim for one in job.placed.values() if one.claim is not None]
        for claim in claims:
            assert self.carrier is not None  # it has taken them
            self.carrier.carry(claim)
        waiting = sum(len(stored.copies) for stored, _ in job.sends) - len(claims)
        for stored, packed in job.sends if waiting else ():
            self._templates.put(stored.submission.send_id, stored.template, len(packed))
        if job.sends or isinstance(job.step, Settlement):
            self.owed.set()
        if waiting or (isinstance(job.step, Settlement) and job.step.due_at is not None):
            self.wake.set()

    async def _templates_of(self, due: Sequence[spooled.DueCopy]) -> dict[str, Template]:
        wanted = {copy.send_id for copy in due}
        found = {
            send_id: template for send_id in wanted if (template := self._templates.get(send_id))
        }
        missing = sorted(wanted - found.keys())
        if missing:
            async with self._store.read() as connection:
                packed = await spooled.read_templates(connection, missing)
            for send_id, raw in packed.items():
                found[send_id] = await _unpack(raw)
                self._templates.put(send_id, found[send_id], len(raw))
        return found


class _TemplateCache:
    """Templates by send_id, the last used ones, bounded by their packed size."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[Template, int]] = OrderedDict()
        self._size_bytes = 0

    def get(self, send_id: str) -> Template | None:
        kept = self._kept.get(send_id)
        if kept is None:
            return None
        self._kept.move_to_end(send_id)
        return kept[0]

    def put(self, send_id: str, template: Template, size_bytes: int) -> None:
        if send_id in self._kept:
            return
        self._kept[send_id] = (template, size_bytes)
        self._size_bytes += size_bytes
        while self._size_bytes > _MAX_CACHE_BYTES and len(self._kept) > 1:
            _, (_, dropped_bytes) = self._kept.popitem(last=False)
            self._size_bytes -= dropped_bytes


async def _pack(template: Template) -> bytes:
    if len(template.original) < _LONG_BYTES:
        return pack_template(template)
    return await asyncio.to_thread(pack_template, template)


async def _unpack(raw: bytes) -> Template:
    if len(raw) < _LONG_BYTES:
        return unpack_template(raw)
    return await asyncio.to_thread(unpack_template, raw)


def _where(jobs: Sequence[Job]) -> Where:
    copies = sum(len(stored.copies) for job in jobs for stored, _ in job.sends)
    few = len(jobs) <= _FEW and copies <= _FEW and sum(job.size_bytes for job in jobs) < _LONG_BYTES
    return Where.LOOP if few else Where.THREAD


def _is_lost(error: Exception) -> bool:
    """Tell whether the store failed us, and not one item the store."""
    return isinstance(error, OSError) or (
        isinstance(error, DBAPIError) and not isinstance(error, IntegrityError | DataError)
    )


def _reject(job: Job, error: Exception) -> None:
    if isinstance(error, IntegrityError):
        _resolve(job.done, CopyIdTaken("a copy_id or send_id is taken"))
    else:
        _log.error("spool.refused", error=repr(error))
        _resolve(job.done, Unstorable(f"the spool does not take this: {error!r}"))


def _resolve(done: asyncio.Future[Any], answer: object) -> None:
    if done.done():  # its caller was cancelled
        return
    if isinstance(answer, Exception):
        done.set_exception(answer)
    else:
        done.set_result(answer)
