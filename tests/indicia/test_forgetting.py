"""Access and erasure over a running sandbox, proved on the raw files."""

import asyncio
import json
import quopri
import re
import smtplib
import sqlite3
import subprocess
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from ledger.engine import Store
from ledger.policies import PolicyChange, change_policy

pytestmark = pytest.mark.slow

ANNA = "zebrafish7.anna@example.org"
BOB, CARLA = "bob@example.org", "carla@example.org"
AGENT = "Mozilla/5.0 (X11; Linux) Okapi-Canary/77"
CANARIES = ("zebrafish7", "okapi-canary", "quagga-subject", "tapir-consent", "numbat-link")


class Seen(urllib.request.HTTPRedirectHandler):
    """Follows no redirect."""

    def redirect_request(self, *_args: object) -> None:
        return None


def mail(subject: str, *to: str, track: str = "", url: str = "https://x.example/a") -> EmailMessage:
    message = EmailMessage()
    message["From"] = "ann@sender.example"
    message["To"] = ", ".join(to)
    message["Subject"] = subject
    if track:
        message["X-Indicia-Track"] = track
    message.set_content("plain")
    message.add_alternative(f'<p>Hello <a href="{url}">our offer</a></p>', subtype="html")
    return message


def send(running: Any, message: EmailMessage, *to: str) -> None:
    with smtplib.SMTP("127.0.0.1", running.smtp, timeout=20) as smtp:
        smtp.send_message(message, "ann@sender.example", to)


def captured(running: Any, recipient: str) -> list[tuple[str, str]]:
    """Pixel and link of each captured copy of a recipient, the oldest first."""
    with sqlite3.connect(running.folder / "state" / "spool.db") as spool:
        rows = spool.execute(
            "SELECT raw FROM captured_copies WHERE recipients LIKE ? ORDER BY captured_at",
            (f"%{recipient}%",),
        ).fetchall()
    spool.close()
    found = []
    for (raw,) in rows:
        html = quopri.decodestring(raw).decode("utf-8", "replace").replace("=\n", "")
        pixel = re.search(r"http://127[^\"' ]+\.gif", html)
        link = re.search(r"http://127[^\"' ]+/c/[^\"' ]+", html)
        if pixel and link:
            found.append((pixel[0], link[0]))
    return found


def events(running: Any, *types: str) -> list[dict[str, Any]]:
    """Events of some types as the ledger has them: asking `indicia log` costs a second."""
    with sqlite3.connect(running.folder / "state" / "ledger.db") as ledger:
        ledger.row_factory = sqlite3.Row
        rows = [dict(row) for row in ledger.execute("SELECT * FROM events ORDER BY number")]
    ledger.close()
    found = [row for row in rows if row["type"] in types]
    return [{**row, "candidates": json.loads(row["candidates"])} for row in found]


def ask(url: str) -> tuple[int, str]:
    opener = urllib.request.build_opener(Seen())
    request = urllib.request.Request(url, headers={"User-Agent": AGENT, "Accept": "*/*"})
    try:
        with opener.open(request, timeout=20) as answer:
            return answer.status, ""
    except urllib.error.HTTPError as answer:
        return answer.code, str(answer.headers.get("Location", ""))


def raw_files(folder: Path) -> dict[str, bytes]:
    files = [*(folder / "state").rglob("*"), folder / "output.txt"]
    return {file.name: file.read_bytes().lower() for file in files if file.is_file()}


def found_in(folder: Path, *words: str) -> set[tuple[str, str]]:
    raw = raw_files(folder)
    return {(word, name) for word in words for name, text in raw.items() if word.encode() in text}


@pytest.fixture
def told(start_indicia: Any, waiting: Callable[..., Any]) -> Any:
    """A sandbox in which Anna has mail alone and with others, and has opened and clicked."""
    running = start_indicia()
    url = "https://x.example/numbat-link"
    send(running, mail("Quagga-Subject", ANNA, url=url), ANNA)
    send(running, mail("For all", ANNA, BOB), ANNA, BOB)
    send(running, mail("Shared", ANNA, BOB, CARLA, track="shared"), ANNA, BOB, CARLA)
    waiting(lambda: len(events(running, "email.relayed")) == 6, 20, "all is relayed")
    for pixel, link in captured(running, ANNA):
        assert ask(pixel) == (200, "")
        assert ask(link)[0] == 302
    opened = ("email.opened", "email.clicked")
    waiting(lambda: len(events(running, *opened)) >= 6, 20, "all is told")
    running.command("consent", "set", ANNA, "denied", "--text", "Tapir-Consent")
    asyncio.run(rule_about(running, ANNA))
    waiting(lambda: knows_rule(running, ANNA), 10, "the relay remembers the rule")
    return running


async def rule_about(running: Any, address: str) -> None:
    """Keep a rule that names an address, and says so in its reason."""
    value = {"recipient": address, "clicks": False}
    change = PolicyChange(datetime.now(UTC), "operator", f"{address} asked", "counsel", value)
    store = Store(f"sqlite+aiosqlite:///{running.folder / 'state' / 'ledger.db'}")
    async with store.write() as connection:
        await change_policy(connection, change)
    await store.close()


def knows_rule(running: Any, text: str) -> bool:
    """Tell whether a text is among the rules that the relay remembers."""
    with sqlite3.connect(running.folder / "state" / "spool.db") as spool:
        rows = spool.execute("SELECT rules FROM known_policy").fetchall()
    spool.close()
    return any(text in rules for (rules,) in rows)


def test_everything_that_is_held_is_told(told: Any) -> None:
    held = json.loads(told.command("export", ANNA.upper(), "--json"))
    assert [one["subject"] for one in held["received"]] == ["Quagga-Subject", "For all", "Shared"]
    assert [one["others_with_this_copy"] for one in held["received"]] == [0, 0, 2]
    assert held["received"][0]["links"][0]["url"] == "https://x.example/numbat-link"
    assert held["received"][0]["verdict"]["recipient"] == ANNA
    kinds = {event["type"] for event in held["events"]}
    assert kinds >= {"email.accepted", "email.relayed", "email.opened", "email.clicked"}
    (shared, *_) = [one for one in held["events"] if one["attribution"] == "shared"]
    assert (shared["candidates"], shared["other_candidates"]) == ([ANNA], 2)
    assert any("Okapi" in one["features"]["agent"] for one in held["hits"])
    assert held["consent"]["state"] == "denied"
    assert held["consent"]["history"][0]["text"] == "Tapir-Consent"
    assert len(held["captured"]) == 3
    assert BOB not in json.dumps({**held, "captured": []})
    text = told.command("export", ANNA)
    assert "mail received" in text
    assert "consent: denied" in text
    assert BOB not in text
    folder = told.folder / "out"
    names = {Path(line).name for line in told.command("export", ANNA, "--output", folder).split()}
    assert {"export.json", "export.txt"} < names
    assert len(list(folder.glob("*.eml"))) == 3


def test_what_is_forgotten_stands_in_no_file(told: Any, waiting: Callable[..., Any]) -> None:
    assert {word for word, _ in found_in(told.folder, *CANARIES)} == set(CANARIES)
    marked = captured(told, ANNA)
    before = events(told, "email.accepted", "email.relayed")
    done = json.loads(told.command("forget", ANNA, "--yes", "--json"))
    assert done["left"] == {}
    assert done["erased"]["events"] > 0
    assert (done["rules_under_digest"], done["rules"]) == (["counsel"], [])
    assert knows_rule(told, '"counsel": {"recipient": "~')
    assert found_in(told.folder, *CANARIES) == set()

    for pixel, link in marked:
        assert ask(pixel) == (200, "")
        status, location = ask(link)
        assert (status, location.startswith("https://x.example/")) == (302, True)
    left = events(told, "email.accepted", "email.relayed")
    assert left == [one for one in before if one["recipient"] != ANNA]
    assert {one["recipient"] for one in left} == {BOB, CARLA}
    for one in events(told, "email.opened", "email.clicked"):
        assert (one["user_agent"], one["ip_address"], one["candidates"][:1]) in (
            (None, None, [BOB]),
            (None, None, []),
        )
    # The denial holds on, of an address that nobody has on record.
    send(told, mail("Later", ANNA), ANNA)
    waiting(lambda: len(events(told, "email.accepted")) == len(left) // 2 + 1, 20, "it is accepted")
    (later,) = [one for one in events(told, "email.accepted") if one["recipient"] == ANNA]
    assert later["tracking_mode"] == "off"
    assert "denied" in told.command("consent", "show", ANNA)
    assert ANNA not in told.command("consent", "export")
    # A word of his own ends it; the rule for him, of which he has no say, holds on.
    told.command("consent", "set", ANNA, "granted")
    assert "granted" in told.command("consent", "show", ANNA)
    shown = json.loads(
        told.command("policy", "show", "--from", "ann@sender.example", "--to", ANNA, "--json")
    )
    assert (shown["mode"], shown["clicks"]) == ("individual", "none")
    (why,) = [one for one in shown["reasons"] if one["of"] == "clicks"]
    assert (why["because"], why["name"]) == ("rule", "counsel")


def test_mail_that_waits_is_not_taken_away_without_a_word(
    start_indicia: Any, ports: Callable[[], int], waiting: Callable[..., Any]
) -> None:
    upstream = f'[[upstream]]\nhost = "127.0.0.1"\nport = {ports()}\ntls = "none"'
    running = start_indicia(upstream)
    send(running, mail("For two", ANNA, BOB, track="off"), ANNA, BOB)
    send(running, mail("For one", ANNA), ANNA)
    waiting(lambda: len(events(running, "email.accepted")) == 3, 20, "both are told")
    waiting(lambda: len(events(running, "email.deferred")) >= 3, 30, "both were tried")

    def forget(*words: str) -> subprocess.CompletedProcess[str]:
        command = ["--config", str(running.folder / "indicia.toml"), "forget", ANNA, *words]
        return subprocess.run(
            [running.process.args[0], *command],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd=running.folder,
        )

    refused = forget("--yes")
    assert refused.returncode == 1
    assert "2 copies are to or from" in refused.stderr
    assert "--drop-queued" in refused.stderr
    asked = forget("--drop-queued")
    assert (asked.returncode, "add --yes" in asked.stderr) == (2, True)
    assert "1. " not in running.command("queue", "list")
    done = forget("--drop-queued", "--yes")
    queued = [json.loads(line) for line in running.command("queue", "list", "--json").splitlines()]
    assert [[one["recipient"] for one in copy["recipients"]] for copy in queued] == [[BOB]]
    # The mail to Bob names her in its header while it waits.
    assert "spool.db" in done.stderr
    assert "ledger.db" not in done.stderr
    running.command("queue", "drop", "--all", "--yes")
    assert forget("--yes").returncode == 0
