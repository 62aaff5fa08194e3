"""Real mail programs send through us: each copy is the original but for its slots."""

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.daemon

TO = ("to1@example.test", "to2@example.test")
CC = ("cc1@example.test",)
BCC = ("bcc1@example.test",)
EVERYBODY = TO + CC + BCC

# What interop/clients has; the first test below notices when one is added there.
CLIENTS = [
    "curl",
    "curl-file",
    "exim",
    "git",
    "go",
    "msmtp",
    "mutt",
    "neomutt",
    "nodemailer",
    "phpmailer",
    "postfix",
    "py-aiosmtplib",
    "py-django",
    "py-smtplib",
    "py-smtplib-8bit",
    "py-smtplib-calendar",
    "s-nail",
    "swaks",
    "thunderbird",
]
# What these send has no HTML, or is an invitation: nothing may be changed but the header we own.
UNTRACKED = {"git", "mutt", "neomutt", "py-smtplib-calendar", "s-nail", "thunderbird"}


class Tee:
    """A port before the relay's that keeps what clients said."""

    def __init__(self, relay: int) -> None:
        self.relay = relay
        self.said: list[bytearray] = []
        self.sockets: list[socket.socket] = []
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self.server.accept()
            except OSError:
                return
            relay = socket.create_connection(("127.0.0.1", self.relay))
            self.sockets += [client, relay]
            said = bytearray()
            self.said.append(said)
            threading.Thread(target=_pass_on, args=(client, relay, said), daemon=True).start()
            threading.Thread(target=_pass_on, args=(relay, client, None), daemon=True).start()

    def close(self) -> None:
        for one in (self.server, *self.sockets):
            with contextlib.suppress(OSError):  # the other side has gone already
                one.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits for it
            one.close()

    def messages(self) -> list[bytes]:
        """Every DATA so far, unstuffed, lone LF as CRLF."""
        return [message for said in self.said for message in _data_of(bytes(said))]


def _pass_on(source: socket.socket, target: socket.socket, kept: bytearray | None) -> None:
    try:
        while chunk := source.recv(65536):
            if kept is not None:
                kept += chunk
            target.sendall(chunk)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        source.close()
        target.close()


def _data_of(said: bytes) -> Iterator[bytes]:
    position = 0
    while match := re.compile(rb"^DATA\r\n", re.MULTILINE | re.IGNORECASE).search(said, position):
        end = said.index(b"\r\n.\r\n", match.end() - 2) + 2
        # RFC 5321 4.5.2: a dot is added after CRLF only; curl sends a file's lone LF as it is.
        body = re.sub(rb"(?<=\r\n)\.", b"", b"\r\n" + said[match.end() : end])[2:]
        yield re.sub(rb"\r?\n", b"\r\n", body)
        position = end + 3


@pytest.fixture
def tee_before() -> Iterator[Callable[[int], Tee]]:
    made: list[Tee] = []

    def make(port: int) -> Tee:
        made.append(Tee(port))
        return made[-1]

    yield make
    for tee in made:
        tee.close()


def test_no_client_of_the_scripts_is_forgotten(interop: Path) -> None:
    there = {path.stem.removeprefix("send-") for path in (interop / "clients").glob("send-*.sh")}
    assert there == set(CLIENTS)


@pytest.mark.parametrize("client", CLIENTS)
def test_each_copy_is_the_original_but_for_its_slots(
    client: str,
    interop: Path,
    postfix: Any,
    start_indicia: Callable[..., Any],
    tee_before: Callable[[int], Tee],
    waiting: Callable[..., Any],
    tmp_path: Path,
) -> None:
    indicia = start_indicia(
        postfix.upstream(tmp_path), env={"SSL_CERT_FILE": str(postfix.authority)}
    )
    tee = tee_before(indicia.smtp)
    before = {recipient: len(postfix.mail_of(recipient)) for recipient in EVERYBODY}

    _send(interop, client, tee.port)
    originals = waiting(tee.messages, 20, f"{client} said DATA")

    def copies() -> dict[str, bytes] | None:
        found = {who: postfix.mail_of(who)[before[who] :] for who in EVERYBODY}
        return {who: mail[0] for who, mail in found.items()} if all(found.values()) else None

    arrived = waiting(copies, 30, f"a copy for each recipient of {client}")
    marks = {
        who: set(re.findall(rb"/[oc]/([\w-]{36})", _joined(raw))) for who, raw in arrived.items()
    }
    for recipient, raw in arrived.items():
        report = _check(tmp_path, originals[0], raw, indicia.collector, client not in UNTRACKED)
        assert report["violations"] == [], (client, recipient)
        assert not re.search(rb"(?im)^(bcc|x-indicia-[\w-]*):", raw.partition(b"\r\n\r\n")[0])
        assert b"bcc1@example.test" not in raw, recipient
        others = set().union(*(marks[other] for other in EVERYBODY if other != recipient))
        assert not marks[recipient] & others
    if client in UNTRACKED:
        assert not any(marks.values())
    else:
        assert all(marks.values())


def _joined(raw: bytes) -> bytes:
    """The mail with its soft line breaks undone and base64 text decoded, to search for tokens."""
    import email  # noqa: PLC0415 - an independent decoder

    parts = email.message_from_bytes(raw).walk()
    return b"\n".join(part.get_payload(decode=True) or b"" for part in parts)  # type: ignore[misc]


def _send(interop: Path, client: str, port: int) -> None:
    folder = Path(tempfile.gettempdir()) / f"indicia-interop-{os.getuid()}"
    folder.mkdir(mode=0o755, exist_ok=True)
    environment = {
        **os.environ,
        "INTEROP_RUN": str(folder),
        "SMTP_AUTH": "0",
        "TO_ADDRS": " ".join(TO),
        "CC_ADDRS": " ".join(CC),
        "BCC_ADDRS": " ".join(BCC),
    }
    script = interop / "clients" / f"send-{client}.sh"
    done = subprocess.run(
        [script, "localhost", str(port), "plain"],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, (client, done.stdout[-800:], done.stderr[-800:])


def _check(folder: Path, original: bytes, copy: bytes, collector: int, tracked: bool) -> Any:
    checker = Path(__file__).resolve().parents[3] / "shared" / "tools" / "check_preservation.py"
    (folder / "original.eml").write_bytes(original)
    (folder / "copy.eml").write_bytes(copy)
    words = [sys.executable, checker, "--base-url", f"http://127.0.0.1:{collector}/"]
    words += ["--pixel-anywhere", "--may-drop-header", "x-indicia-.*", "--bcc", "must"]
    words += ["--require-pixel"] if tracked else []
    done = subprocess.run(
        [*words, folder / "original.eml", folder / "copy.eml"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode in {0, 1}, done.stderr
    return json.loads(done.stdout)
