"""What tests of several rooms ask for: a running Indicia, and the policy's decision table."""

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from sqlalchemy import insert

from config.settings import Settings
from ledger import migrate, schema
from ledger.address import Address, parse_address
from ledger.consent import Consents, parse_subject
from ledger.engine import Store
from ledger.ident import new_ident
from relay.configured import policy_of
from relay.mail import Client, Envelope, Submission
from relay.policy import Policy
from tests.ports import free_port
from tests.ready import copy_store, make_stores

# A busy machine is no fault of the code; and CI fails or passes the same commit always alike.
hypothesis.settings.register_profile("here", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "here")

_EVENT_KEYS = frozenset(
    {
        "event_id",
        "type",
        "timestamp",
        "send_id",
        "message_id",
        "sender",
        "subject",
        "recipient",
        "recipient_type",
        "attribution",
        "candidates",
        "tracking_mode",
        "url",
        "link_id",
        "link_text",
        "classification",
        "machine",
        "confidence",
        "reasons",
        "rules_version",
        "first",
        "repeats",
        "notice",
        "inferred_from",
        "user_agent",
        "ip_address",
        "tags",
        "metadata",
    }
)

_COMMAND = Path(sys.executable).with_name("indicia")


def _wait_until(reached: Callable[[], Any], seconds: float, what: str) -> Any:
    """Return the first true answer; fail with `what` when there is none in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if answer := reached():
            return answer
        time.sleep(0.05)
    pytest.fail(f"not within {seconds} s: {what}")


def _accepts(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


@dataclass
class Running:
    """An Indicia started by a test, and what one wants to ask it."""

    folder: Path
    process: subprocess.Popen[bytes]
    smtp: int
    collector: int
    console: int
    environment: dict[str, str] = field(default_factory=dict)

    def command(self, *words: str) -> str:
        """Run `indicia …` beside it and return what it prints."""
        done = subprocess.run(
            [_COMMAND, "--config", self.folder / "indicia.toml", *words],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout

    def events(self, *types: str) -> list[dict[str, Any]]:
        """All events of these types, as `indicia log --json` tells them."""
        lines = self.command("log", "--json").splitlines()
        return [event for event in map(json.loads, lines) if event["type"] in types]

    def output(self) -> str:
        return (self.folder / "output.txt").read_text(errors="replace")


@pytest.fixture(scope="session")
def event_keys() -> frozenset[str]:
    """The keys of an event, as the contract has them; delivery events have two more."""
    return _EVENT_KEYS


async def _put_in_queue(spool: Store, copy_id: int, **values: Any) -> str:
    """Write one send with one copy into a spool; return its send_id."""
    now: datetime = values.pop("received_at", datetime.now(UTC))
    send_id = new_ident(int(now.timestamp() * 1000), copy_id)
    recipients = values.pop("recipients", ("bob@example.org",))
    reply = values.pop("reply", None)
    send: dict[str, Any] = {
        "send_id": send_id,
        "received_at": now,
        "sender": "ann@sender.example",
        "smtputf8": False,
        "body_8bit": False,
        "message_id": f"{copy_id}@sender.example",
        "subject": f"Number {copy_id}",
        "template": b"",
    }
    send |= {name: values.pop(name) for name in set(send) & set(values)}
    copy = {"copy_id": copy_id, "send_id": send_id, "mode": "off", "key_id": 0, "due_at": now}
    async with spool.write() as connection:
        await connection.execute(insert(schema.spooled_sends).values(send))
        await connection.execute(insert(schema.spooled_copies).values({**copy, **values}))
        rows = [
            {
                "copy_id": copy_id,
                "number": number,
                "recipient": recipient,
                "recipient_type": "to",
                "state": "failed" if values.get("fate") == "dead" else "pending",
                "reply": reply,
            }
            for number, recipient in enumerate(recipients)
        ]
        await connection.execute(insert(schema.spooled_recipients), rows)
    return send_id


@pytest.fixture(scope="session")
def put_in_queue() -> Callable[..., Awaitable[str]]:
    """Write a copy into a spool: `await put_in_queue(spool, 5, held=True, reply="451 later")`."""
    return _put_in_queue


@pytest.fixture(scope="session")
def ports() -> Callable[[], int]:
    return free_port


@pytest.fixture(scope="session")
def accepts() -> Callable[[int], bool]:
    return _accepts


@pytest.fixture(scope="session")
def waiting() -> Callable[..., Any]:
    return _wait_until


@pytest.fixture(scope="session")
def ready_stores(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with migrated stores, to be copied."""
    folder = tmp_path_factory.mktemp("ready")
    make_stores(folder)
    return folder


@pytest.fixture(autouse=True, scope="session")
def bring_up(ready_stores: Path) -> Iterator[Callable[..., Any]]:
    """A store that a test opens anew is a copy of a migrated one; migrating has its own tests."""
    really = migrate._bring_up  # what is private there is still the one seam of all openings

    async def copied(store: Any, file: Path, steps: Path) -> None:
        copy_store(ready_stores, steps.name, file)
        await really(store, file, steps)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(migrate, "_bring_up", copied)
        yield really


@pytest.fixture
def start_indicia(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Start `indicia serve` with a configuration; ended, by its process id, with the test."""
    started: list[Running] = []

    def start(upstream: str = "", tracking: str = "", env: dict[str, str] | None = None) -> Running:
        smtp, collector, console = free_port(), free_port(), free_port()
        (tmp_path / "indicia.toml").write_text(
            f"""
[server]
hostname = "relay.sender.test"
state_dir = "{tmp_path}/state"
[database]
url = "sqlite+aiosqlite:///{tmp_path}/state/ledger.db"
spool_url = "sqlite+aiosqlite:///{tmp_path}/state/spool.db"
[relay]
listen = ["127.0.0.1:{smtp}"]
[tracking]
base_url = "http://127.0.0.1:{collector}"
unknown_consent = "individual"
{tracking}
[collector]
listen = ["127.0.0.1:{collector}"]
[console]
listen = ["127.0.0.1:{console}"]
public_url = "http://127.0.0.1:{console}"
{upstream}
"""
        )
        environment = {**os.environ, **(env or {})}
        with (tmp_path / "output.txt").open("ab") as output:
            process = subprocess.Popen(
                [_COMMAND, "--config", tmp_path / "indicia.toml", "serve"],
                cwd=tmp_path,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        running = Running(tmp_path, process, smtp, collector, console, environment)
        started.append(running)
        _wait_until(
            lambda: (
                (all(map(_accepts, (smtp, collector, console))) and "sign in" in running.output())
                or process.poll() is not None
            ),
            30,
            "indicia serve accepts connections and says where to sign in",
        )
        assert process.poll() is None, running.output()
        return running

    yield start
    for running in started:
        _end(running.process)


def _end(process: subprocess.Popen[bytes], seconds: float = 30) -> None:
    process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        pytest.fail(f"indicia did not end within {seconds} s of SIGTERM")


@dataclass(frozen=True, slots=True)
class PolicyRow:
    """One row of policy_table.md: a mail under a configuration, and what must come of it."""

    shown: str
    settings: dict[str, Any]
    """The tables of the configuration file."""
    on_record: dict[str, str]
    """What the ledger says: `granted` and `denied` subjects, `policy` off."""
    policy: Policy
    submission: Submission
    mode: str
    opens: bool
    clicks: str
    because: tuple[str, ...]
    """What decided mode, opens and clicks."""

    @property
    def recipient(self) -> Address:
        """The recipient whom the row is about: the first."""
        return self.submission.envelope.recipients[0]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that asks for `policy_row` on every row of the table."""
    if "policy_row" in metafunc.fixturenames:
        text = (Path(__file__).parent / "relay" / "policy_table.md").read_text(encoding="utf-8")
        rows = [_policy_row(line) for line in text.splitlines() if _is_row(line)]
        if "fresh_state" in metafunc.fixturenames:
            # Through a live relay; who signed in there is told by test_submitters.
            rows = [row for row in rows if row.submission.account is None]
        metafunc.parametrize("policy_row", rows, ids=[row.shown for row in rows])


def _is_row(line: str) -> bool:
    return line.startswith("| ") and not line.startswith("| shown ")


def _policy_row(line: str) -> PolicyRow:
    shown, configuration, mail, mode, opens, clicks, because = (
        cell.strip() for cell in line.strip("|").split("|")
    )
    named = tuple(part.strip() for part in because.split(";"))
    pairs = [tuple(item.split("=", 1)) for item in _items(configuration) if item[:5] != "rule "]
    return PolicyRow(
        shown,
        _settings(_items(configuration)),
        {name: value for name, value in pairs if name in _ON_RECORD},
        _policy(_items(configuration)),
        _submission(_items(mail)),
        mode,
        {"yes": True, "no": False}[opens],
        clicks,
        named if len(named) > 1 else named * 3,
    )


def _items(cell: str) -> list[str]:
    return [item for part in cell.split(";") if (item := part.strip())]


def _settings(items: list[str]) -> dict[str, Any]:
    """Return the tables of a configuration file that a cell means."""
    options = dict(item.split("=", 1) for item in items if not item.startswith("rule "))
    tracking: dict[str, Any] = {
        "base_url": "https://t.example.com",
        "unknown_consent": "individual",
    }
    for name, said in options.items():
        if name in _LISTS:
            tracking[name] = said.split()
        elif name == "max_copies":
            tracking[name] = int(said)
        elif name not in _ON_RECORD:
            tracking[name] = {"true": True, "false": False}.get(said, said)
    rules = [_rule(item) for item in items if item.startswith("rule ")]
    return {"server": {"hostname": "relay.example.com"}, "tracking": tracking, "rule": rules}


_LISTS = ("seats", "internal_domains")
_ON_RECORD = ("granted", "denied", "policy")
"""What the ledger says, not the configuration."""


def _policy(items: list[str]) -> Policy:
    said = dict(item.split("=", 1) for item in items if not item.startswith("rule "))
    consents = Consents(
        {parse_subject(one).key for one in said.get("granted", "").split()},
        {parse_subject(one).denial_key for one in said.get("denied", "").split()},
    )
    policy = policy_of(Settings(**_settings(items)))
    return replace(policy, consents=consents, tracking=said.get("policy") != "off")


def _rule(item: str) -> dict[str, Any]:
    name, *pairs = (part.strip() for part in item.removeprefix("rule ").split(","))
    said: dict[str, Any] = dict(pair.split("=", 1) for pair in pairs)
    for switch in ("opens", "clicks"):
        if switch in said:
            said[switch] = said[switch] == "true"
    return {"name": name, **said}


def _submission(items: list[str]) -> Submission:
    fields = [item for item in items if re.match(r"[!-9;<>-~]+:", item)]
    said = dict(item.split("=", 1) for item in items if item not in fields)
    sender = said.get("from", "ann@sales.example")
    others = (f"other{number}@inside.example" for number in range(int(said.get("others", "0"))))
    recipients = (said.get("to", "bob@example.org"), *others)
    return Submission(
        send_id="01ARYZ6S410000000000000000",
        envelope=Envelope(
            parse_address(sender) if sender else None, tuple(map(parse_address, recipients))
        ),
        raw="\r\n".join([*fields, "Content-Type: text/html", "", "<p>Hello</p>", ""]).encode(),
        received_at=datetime(2026, 11, 23, 12, tzinfo=UTC),
        client=Client("127.0.0.1", "localhost"),
        account=said.get("account"),
    )
