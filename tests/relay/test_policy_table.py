"""The decision table through a live relay: SMTP in, the mailbox of captured mail out."""

import asyncio
import shutil
import smtplib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from config.settings import Settings
from ledger.consent import Consent, Method, parse_subject
from ledger.consents import ConsentTold, tell_consent
from ledger.keys import load_keys
from ledger.migrate import Stores, open_stores
from ledger.policies import PolicyChange, change_policy
from ledger.spooled import CapturedCopy, captured_copy, list_captured
from relay.app import run_relay

pytestmark = pytest.mark.slow

AT = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
PIXEL = b"https://t.example.com/o/"
LINK = b"https://t.example.com/c/"
BODY = b'<p>Our <a href="https://shop.example/offer">offer</a></p>'
DEADLINE_S = 20.0


async def put_on_record(stores: Stores, on_record: dict[str, str]) -> None:
    async with stores.ledger.write() as connection:
        for state in (Consent.GRANTED, Consent.DENIED):
            for subject in on_record.get(state.value, "").split():
                told = ConsentTold(state, AT, Method.OTHER, "operator")
                await tell_consent(connection, parse_subject(subject), told)
        if "policy" in on_record:
            on = on_record["policy"] == "on"
            await change_policy(connection, PolicyChange(AT, "operator", "", None, on))


@pytest.fixture(scope="module")
def fresh_state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder as a first start leaves it: making one takes longer than a row."""
    folder = tmp_path_factory.mktemp("fresh")
    settings = Settings(server={"state_dir": folder}, tracking={"unknown_consent": "off"})

    async def make() -> None:
        stores = await open_stores(settings.database.url, settings.database.spool_url)
        await stores.close()

    asyncio.run(make())
    load_keys(settings.keys_dir)
    return folder


@asynccontextmanager
async def relaying(row: Any, folder: Path) -> AsyncIterator[tuple[Stores, int]]:
    tables = row.settings
    settings = Settings(
        **{
            **tables,
            "server": {**tables["server"], "state_dir": folder},
            "relay": {"listen": ["127.0.0.1:0"]},
        }
    )
    stores = await open_stores(settings.database.url, settings.database.spool_url)
    try:
        await put_on_record(stores, row.on_record)
        async with run_relay(settings, stores, load_keys(settings.keys_dir)) as ports:
            yield stores, ports[0]
    finally:
        await stores.close()


def send(port: int, row: Any) -> None:
    envelope = row.submission.envelope
    raw = row.submission.raw.replace(b"<p>Hello</p>", BODY)
    with smtplib.SMTP("127.0.0.1", port, timeout=DEADLINE_S) as client:
        client.command_encoding = "utf-8"
        client.ehlo()
        sender = "" if envelope.sender is None else str(envelope.sender)
        client.docmd("MAIL", f"FROM:<{sender}> SMTPUTF8")
        for recipient in envelope.recipients:
            code, said = client.docmd("RCPT", f"TO:<{recipient}>")
            assert code == 250, said
        code, said = client.data(raw)
        assert code == 250, said


async def copy_of(stores: Stores, recipient: str) -> CapturedCopy:
    async with asyncio.timeout(DEADLINE_S):
        while True:
            async with stores.spool.read() as connection:
                for copy in await list_captured(connection, 100):
                    if any(address == recipient for _, address in copy.recipients):
                        whole = await captured_copy(connection, copy.copy_id)
                        assert whole is not None
                        return whole
            await asyncio.sleep(0.01)


async def test_the_decision_table_holds_in_a_live_relay(
    policy_row: Any, tmp_path: Path, fresh_state: Path
) -> None:
    shutil.copytree(fresh_state, tmp_path / "var")
    async with relaying(policy_row, tmp_path / "var") as (stores, port):
        await asyncio.to_thread(send, port, policy_row)
        copy = await copy_of(stores, str(policy_row.recipient))
    # A report is left alone whatever the policy says: its content decides (docs/reasons.md).
    left_alone = policy_row.submission.envelope.sender is None
    assert copy.mode == ("off" if left_alone else policy_row.mode)
    assert (PIXEL in copy.raw) == (policy_row.opens and not left_alone)
    assert (LINK in copy.raw) == ("html" in policy_row.clicks and not left_alone)
