"""Relay, collector and console, each a process of its own: what is said in one reaches all."""

import contextlib
import http.cookiejar
import json
import os
import re
import smtplib
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

pytestmark = pytest.mark.slow

PROGRAMS = ("collector", "console", "relay")
HEED_S = 5.0
"""So soon everybody must heed the switch."""
SENDER = "ann@sender.example"
DENIES, RULED, FREE = "dora@away.example", "rolf@gov.example", "fred@free.example"
LATE = "late@slow.example"


@dataclass(frozen=True, slots=True)
class Try:
    """One delivery that the upstream was offered."""

    at: float
    recipients: tuple[str, ...]
    raw: bytes

    @property
    def pixel(self) -> str | None:
        """The path of its pixel."""
        found = re.search(rb"/o/[\w-]{36}\.gif", self.raw)
        return found[0].decode() if found else None

    @property
    def has_link(self) -> bool:
        return re.search(rb"/c/[\w-]{36}/", self.raw) is not None


@dataclass
class Sink:
    """An upstream that keeps each try, and always defers what is to `LATE`."""

    tries: list[Try] = field(default_factory=list)

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        assert isinstance(envelope.content, bytes)
        to = tuple(envelope.rcpt_tos)
        # Soft line breaks may stand in a token's place.
        self.tries.append(Try(time.monotonic(), to, envelope.content.replace(b"=\r\n", b"")))
        return "451 4.3.0 later" if LATE in to else "250 2.0.0 taken"

    def of(self, recipient: str) -> list[Try]:
        return [one for one in self.tries if recipient in one.recipients]


@pytest.fixture
def sink(ports: Callable[[], int]) -> Iterator[tuple[Sink, int]]:
    kept, port = Sink(), ports()
    controller = Controller(kept, hostname="127.0.0.1", port=port, ready_timeout=10)
    controller.start()
    yield kept, port
    controller.stop()


@dataclass
class Admin:
    """A browser as far as HTTP goes, signed in at the console."""

    base: str
    opener: urllib.request.OpenerDirector

    def get(self, path: str) -> str:
        with self.opener.open(self.base + path, timeout=20) as answer:
            return str(answer.read().decode())

    def post(self, path: str, **form: str) -> str:
        body = urllib.parse.urlencode(form).encode()
        with self.opener.open(self.base + path, body, timeout=20) as answer:
            return str(answer.read().decode())

    def submit(self, path: str, **form: str) -> str:
        token = re.search(r'name="form_token" value="([^"]+)"', self.get("/policy"))
        assert token is not None
        return self.post(path, form_token=token[1], **form)


@dataclass
class Apart:
    """Three processes on one configuration."""

    folder: Path
    port: dict[str, int]
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def command(self, *words: str | Path) -> str:
        command = [_COMMAND, "--config", self.folder / "indicia.toml", *words]
        done = subprocess.run(
            command, cwd=self.folder, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout

    def output(self) -> str:
        return (self.folder / "output.txt").read_text(errors="replace")

    def send(self, *recipients: str) -> Path:
        """Send an offer, and return it as a file."""
        message = EmailMessage()
        message["From"], message["To"] = SENDER, ", ".join(recipients)
        message["Subject"] = "Offer"
        message.set_content("plain")
        message.add_alternative('<p><a href="https://x.example/a">us</a></p>', subtype="html")
        with smtplib.SMTP("127.0.0.1", self.port["relay"], timeout=20) as smtp:
            smtp.send_message(message, SENDER, recipients)
        file = self.folder / "offer.eml"
        file.write_bytes(message.as_bytes())
        return file

    def select(self, store: str, statement: str) -> list[Any]:
        with contextlib.closing(sqlite3.connect(self.folder / "state" / store)) as database:
            return database.execute(statement).fetchall()

    def heeds(self) -> bool:
        """Tell whether the relay has taken over all that is on record."""
        said = "SELECT coalesce(max(number), 0) FROM {}"
        on_record = [
            self.select("ledger.db", said.format(table))[0][0]
            for table in ("policy_changes", "consent_changes")
        ]
        known = self.select("spool.db", "SELECT number, consents_number FROM known_policy")
        return bool(known) and list(known[0]) == on_record

    def sign_in(self) -> Admin:
        link = re.search(r"http://127\.0\.0\.1:\d+/login\?code=(\S+)", self.output())
        assert link is not None
        jar = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        admin = Admin(f"http://127.0.0.1:{self.port['console']}", urllib.request.build_opener(jar))
        admin.post("/login", code=link[1])
        return admin

    def ask(self, path: str) -> bytes:
        asked = f"http://127.0.0.1:{self.port['collector']}{path}"
        with urllib.request.urlopen(asked, timeout=20) as answer:
            return bytes(answer.read())


_COMMAND = Path(sys.executable).with_name("indicia")


@pytest.fixture
def apart(
    sink: tuple[Sink, int],
    tmp_path: Path,
    ports: Callable[[], int],
    accepts: Callable[[int], bool],
    waiting: Callable[..., Any],
) -> Iterator[Apart]:
    port = {program: ports() for program in PROGRAMS}
    state = tmp_path / "state"
    (tmp_path / "indicia.toml").write_text(
        f"""
[server]
hostname = "relay.sender.test"
state_dir = "{state}"
[database]
url = "sqlite+aiosqlite:///{state}/ledger.db"
spool_url = "sqlite+aiosqlite:///{state}/spool.db"
[relay]
listen = ["127.0.0.1:{port["relay"]}"]
[retry]
first_after_s = 1
max_after_s = 1
[tracking]
base_url = "http://127.0.0.1:{port["collector"]}"
unknown_consent = "individual"
[collector]
listen = ["127.0.0.1:{port["collector"]}"]
[console]
listen = ["127.0.0.1:{port["console"]}"]
public_url = "http://127.0.0.1:{port["console"]}"
[[upstream]]
host = "127.0.0.1"
port = {sink[1]}
tls = "none"
"""
    )
    running = Apart(tmp_path, port)
    with (tmp_path / "output.txt").open("ab") as output:
        for program in PROGRAMS:
            running.processes.append(
                subprocess.Popen(
                    [_COMMAND, "--config", tmp_path / "indicia.toml", program],
                    cwd=tmp_path,
                    env=os.environ,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                )
            )
    try:
        waiting(lambda: all(map(accepts, port.values())), 40, "all three listen")
        waiting(lambda: "sign in" in running.output(), 10, "the console says how to sign in")
        yield running
    finally:
        for process in running.processes:
            process.terminate()
        for process in running.processes:
            process.wait(30)


def test_the_switch_reaches_queued_mail_new_mail_and_hits_in_every_process(
    apart: Apart, sink: tuple[Sink, int], waiting: Callable[..., Any]
) -> None:
    upstream = sink[0]
    apart.send(LATE, FREE)
    waiting(lambda: len(upstream.of(LATE)) >= 2 and upstream.of(FREE), 20, "it is tried")
    assert all(one.pixel and one.has_link for one in upstream.tries)
    pixel = upstream.of(FREE)[0].pixel
    assert pixel is not None
    waiting(lambda: apart.select("ledger.db", "SELECT * FROM sends"), 10, "the send is known")
    gif = apart.ask(pixel)
    opened = "SELECT count(*), sum(repeats) FROM events WHERE type = 'email.opened'"
    waiting(lambda: apart.select("ledger.db", opened)[0][0] == 1, 10, "an open is told")

    admin = apart.sign_in()
    assert "Tracking is off" in admin.submit("/policy/switch", tracking="off", reason="incident")
    switched = time.monotonic()
    original = waiting(
        lambda: [one for one in upstream.of(LATE) if not one.pixel], 2 * HEED_S, "it goes out plain"
    )[0]
    assert original.at - switched < HEED_S
    hits = apart.select("ledger.db", "SELECT count(*) FROM hits")
    for _ in range(3):
        assert apart.ask(pixel) == gif
    apart.send("new@free.example")
    waiting(lambda: upstream.of("new@free.example"), 10, "new mail goes out")
    waiting(lambda: len(upstream.of(LATE)) >= 6, 20, "and it is tried again and again")
    late = [one for one in upstream.tries if one.at >= original.at]
    assert len(late) > 2
    assert not any(one.pixel or one.has_link for one in late)
    assert apart.select("ledger.db", "SELECT count(*) FROM hits") == hits
    assert apart.select("ledger.db", opened) == [(1, 0)]


def test_a_denial_and_a_rule_of_the_console_hold_in_the_copies_as_explain_says(
    apart: Apart, sink: tuple[Sink, int], waiting: Callable[..., Any]
) -> None:
    admin, people = apart.sign_in(), (DENIES, RULED, FREE)
    page = admin.submit("/consent", about=DENIES, state="denied", method="spoken")
    assert DENIES in page
    rule = {"name": "public offices", "recipient": "*@gov.example", "mode": "individual"}
    words = {**rule, "clicks": "no", "reason": "asked by counsel", "editing": "no", "seen": "0"}
    assert "Save the rule" in admin.submit("/policy/rule", **words, do="try")
    assert "The rule is saved" in admin.submit("/policy/rule", **words, do="save")
    waiting(apart.heeds, HEED_S, "the relay heeds both")

    mail = apart.send(*people)
    waiting(lambda: len(sink[0].tries) == 3, 20, "three copies are delivered")
    to = [word for one in people for word in ("--to", one)]
    lines = apart.command("explain", mail, "--from", SENDER, *to, "--json").splitlines()
    told = {one["recipient"]: one for one in map(json.loads, lines)}
    asked = waiting(
        lambda: dict(
            rows
            if len(
                rows := apart.select(
                    "ledger.db",
                    "SELECT recipient, tracking_mode FROM events WHERE type = 'email.accepted'",
                )
            )
            == len(people)
            else ()
        ),
        10,
        "the record has all three",
    )
    for one in people:
        (copy,) = sink[0].of(one)
        assert (copy.pixel is not None) is told[one]["opens"], one
        assert copy.has_link is (told[one]["clicks"] != "none"), one
        assert asked[one] == told[one]["mode"], one
    decided = {
        (one, reason["of"]): (reason["because"], reason["name"])
        for one in people
        for reason in told[one]["reasons"]
    }
    assert [told[one]["mode"] for one in people] == ["off", "individual", "individual"]
    assert decided[DENIES, "mode"] == ("consent", "denied")
    assert (told[RULED]["opens"], told[RULED]["clicks"]) == (True, "none")
    assert decided[RULED, "clicks"] == ("rule", "public offices")
    assert (told[FREE]["opens"], told[FREE]["clicks"]) == (True, "html")
