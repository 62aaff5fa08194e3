"""The way in, whole: real stages, real spool."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from ledger import schema
from ledger.address import parse_address
from ledger.engine import Store
from ledger.fact import SendAccepted
from ledger.migrate import open_store
from ledger.mode import TrackingMode
from ledger.outbox import read_owed
from relay import intake as intake_module
from relay.intake import Intake, prepare_send
from relay.mail import Client, Envelope, RecipientType, Submission
from relay.policy import Policy
from relay.promise import CopyIdTaken, SpoolError, Stored
from relay.reply import Reply
from relay.spool import Spool

NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
POLICY = Policy("relay.test", "https://t.example", unknown_consent=TrackingMode.INDIVIDUAL)
RAW = b"""\
From: Alice <alice@example.com>\r
To: bob@example.org\r
Cc: carol@example.org\r
Bcc: dave@example.org\r
Message-ID: <m1@example.com>\r
Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r
MIME-Version: 1.0\r
Content-Type: text/html; charset=utf-8\r
\r
<html><body><p>See <a href="https://example.com/offer">the offer</a>.</p></body></html>\r
"""


def submission(raw: bytes = RAW) -> Submission:
    recipients = ("bob@example.org", "carol@example.org", "dave@example.org")
    envelope = Envelope(parse_address("alice@example.com"), tuple(map(parse_address, recipients)))
    return Submission("01J00000000000000000000001", envelope, raw, NOW, Client("127.0.0.1", "x"))


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await open_store(f"sqlite+aiosqlite:///{tmp_path}/spool.db", schema.spool)
    yield store
    await store.close()


@pytest.fixture
async def spool(store: Store) -> AsyncIterator[Spool]:
    spool = Spool(store)
    yield spool
    await spool.close()


async def test_a_mail_is_stored_as_a_copy_for_each_recipient(spool: Spool, store: Store) -> None:
    reply = await Intake(lambda: POLICY, spool, 7).take_in(submission())
    assert reply == Reply(250, "2.0.0", "OK 01J00000000000000000000001")
    claims = await spool.claim(10, NOW, 60)
    assert {
        (str(one.address), one.recipient_type) for c in claims for one in c.copy.recipients
    } == {
        ("bob@example.org", RecipientType.TO),
        ("carol@example.org", RecipientType.CC),
        ("dave@example.org", RecipientType.BCC),
    }
    assert len({claim.copy.copy_id for claim in claims}) == 3
    assert {claim.copy.key_id for claim in claims} == {7}
    assert all(b"dave@" not in claim.template.original for claim in claims)
    async with store.read() as connection:
        (owed,) = await read_owed(connection, 10)
    assert isinstance(owed.fact, SendAccepted)
    assert (owed.fact.message_id, owed.fact.subject) == ("m1@example.com", "Grüße")
    assert [one["recipient_type"] for one in owed.fact.verdict] == ["to", "cc", "bcc"]


async def test_an_accepted_mail_is_one_line_of_the_log(spool: Spool) -> None:
    with capture_logs() as logs:
        await Intake(lambda: POLICY, spool, 7).take_in(submission())
    (line,) = [line for line in logs if line["event"] == "submission.accepted"]
    assert line["recipients"] == line["copies"] == 3
    assert (line["sender"], line["bytes"]) == ("alice@example.com", len(RAW))


async def test_a_mail_in_a_loop_is_refused_and_not_stored(spool: Spool) -> None:
    looping = b"Received: from x by y; Tue, 24 Nov 2026 08:00:00 +0000\r\n" * 60 + RAW
    reply = await Intake(lambda: POLICY, spool, 7).take_in(submission(looping))
    assert (reply.code, reply.enhanced) == (554, "5.4.6")
    assert await spool.claim(10, NOW, 60) == ()


@pytest.mark.parametrize("raw", [b"", b"\r\n", b"x\r\n", b"\r\nbody\r\n", b"\xff: \x80\r\n\r\n"])
async def test_whatever_was_sent_is_taken(raw: bytes, spool: Spool) -> None:
    reply = await Intake(lambda: POLICY, spool, 7).take_in(submission(raw))
    assert reply.code == 250
    (claim,) = await spool.claim(10, NOW, 60)
    assert len(claim.copy.recipients) == 3


async def test_a_long_mail_is_compiled_in_a_thread(spool: Spool) -> None:
    long_mail = RAW + b"<!-- " + b"x" * 300_000 + b" -->\r\n"
    assert (await Intake(lambda: POLICY, spool, 7).take_in(submission(long_mail))).code == 250


class Failing(Spool):
    """A spool that raises what it was given, then stores."""

    def __init__(self, store: Store, errors: list[Exception]) -> None:
        super().__init__(store)
        self.errors = errors
        self.asked: list[Stored] = []

    async def store(self, stored: Stored) -> None:
        self.asked.append(stored)
        if self.errors:
            raise self.errors.pop(0)
        await super().store(stored)


async def test_a_taken_id_is_drawn_again(store: Store) -> None:
    spool = Failing(store, [CopyIdTaken("taken")])
    reply = await Intake(lambda: POLICY, spool, 7).take_in(submission())
    first, second = spool.asked
    assert reply.text == f"OK {second.submission.send_id}"
    assert first.submission.send_id != second.submission.send_id
    assert {one.copy_id for one in first.copies}.isdisjoint(one.copy_id for one in second.copies)
    assert second.submission.send_id.encode() in second.template.original
    await spool.close()


@pytest.mark.parametrize(
    "errors", [[SpoolError("disk is full")], [CopyIdTaken("taken")] * 3], ids=["disk", "ids"]
)
async def test_what_could_not_be_stored_is_put_off(store: Store, errors: list[Exception]) -> None:
    spool = Failing(store, list(errors))
    reply = await Intake(lambda: POLICY, spool, 7).take_in(submission())
    assert (reply.code, reply.enhanced) == (451, "4.3.0")
    assert await spool.claim(10, NOW, 60) == ()
    await spool.close()


def test_copy_ids_fit_a_signed_column() -> None:
    stored = prepare_send(submission(), POLICY, 7)
    assert isinstance(stored, Stored)
    assert all(0 <= copy.copy_id < 2**63 for copy in stored.copies)
    assert intake_module._COPY_ID_BITS == 63


def test_where_nothing_may_be_tracked_all_share_one_copy() -> None:
    stored = prepare_send(submission(), replace(POLICY, mode=TrackingMode.OFF), 7)
    assert isinstance(stored, Stored)
    assert [len(copy.recipients) for copy in stored.copies] == [3]


@pytest.mark.parametrize("error", [RuntimeError("fault injected"), RecursionError()], ids=repr)
@pytest.mark.parametrize(
    "stage",
    ["parse_entity", "judge", "compile_template", "split_copies", "explain_send", "accepted_fact"],
)
async def test_law_whatever_a_stage_raises_the_message_goes_out_as_it_came(
    stage: str, error: Exception, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(intake_module, stage, fail)
    with capture_logs() as logs:
        reply = await Intake(lambda: POLICY, spool, 7).take_in(submission())
    assert reply.code == 250
    (claim,) = await spool.claim(10, NOW, 60)
    received, found, rest = claim.template.original.partition(b"From: Alice")
    assert received.startswith(b"Received: by relay.test ")
    assert found + rest == RAW.replace(b"Bcc: dave@example.org\r\n", b"")
    assert [str(one.address) for one in claim.copy.recipients] == [
        "bob@example.org",
        "carol@example.org",
        "dave@example.org",
    ]
    (line,) = [line for line in logs if line["event"] == "tracking.failed"]
    assert (line["log_level"], line["send_id"]) == ("error", claim.copy.send_id)
    assert line["fault"].startswith(f"{type(error).__name__} in relay.intake, line ")


async def test_a_fault_within_compiling_is_counted_too(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay.compile.list_shown", lambda _: 1 / 0)
    with capture_logs() as logs:
        assert (await Intake(lambda: POLICY, spool, 7).take_in(submission())).code == 250
    assert [line["fault"] for line in logs if line["event"] == "tracking.failed"]


async def test_a_lack_of_memory_is_not_hidden(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(intake_module, "parse_entity", fail)
    with pytest.raises(MemoryError):
        await Intake(lambda: POLICY, spool, 7).take_in(submission())


async def test_a_loop_is_refused_even_where_nothing_else_works(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake_module, "judge", lambda *_: 1 / 0)
    looping = b"Received: x\r\n" * 50 + RAW
    reply = await Intake(lambda: POLICY, spool, 7).take_in(submission(looping))
    assert (reply.code, reply.enhanced) == (554, "5.4.6")


async def test_what_can_not_be_written_goes_out_as_it_came(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = intake_module.accepted_fact
    unwritable = "lone \ud800 surrogate"  # it is no Unicode text

    def tell(*given: Any) -> SendAccepted:
        return replace(real(*given), subject=unwritable)

    monkeypatch.setattr(intake_module, "accepted_fact", tell)
    with capture_logs() as logs:
        assert (await Intake(lambda: POLICY, spool, 7).take_in(submission())).code == 250
    (claim,) = await spool.claim(10, NOW, 60)
    assert claim.template.original.endswith(RAW[RAW.index(b"Message-ID") :])
    assert [line["fault"] for line in logs if line["event"] == "tracking.failed"]


async def test_of_what_is_only_observed_what_would_have_been_done_is_recorded(
    spool: Spool, store: Store
) -> None:
    observing = replace(POLICY, observe=True)
    assert (await Intake(lambda: observing, spool, 7).take_in(submission())).code == 250
    (claim,) = await spool.claim(9, NOW, 60)
    assert claim.copy.layout is None
    async with store.read() as connection:
        facts = [one.fact for one in await read_owed(connection, 9)]
    (accepted,) = [fact for fact in facts if isinstance(fact, SendAccepted)]
    said = accepted.verdict[0]
    assert (said["mode"], said["unobserved"]["mode"]) == ("off", "individual")  # type: ignore[index] # JSON
    assert {part["reason"] for part in said["parts"]} == {"observe"}  # type: ignore[attr-defined] # JSON
    assert said["unobserved"]["parts"][0]["tracked"]  # type: ignore[index] # JSON
