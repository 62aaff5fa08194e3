"""Real programs around a real Indicia: how each is started and ended."""

import contextlib
import email
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = "/usr/bin/chromium"
CHROMIUM_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)
# Postfix's virtual delivery takes no patterns; all other addresses share one Maildir.
MAILBOXES = ("to1", "to2", "cc1", "bcc1")


@dataclass
class Postfix:
    """A smart host with STARTTLS, SASL and a Maildir for each address of example.test."""

    port: int
    maildirs: Path
    authority: Path
    username: str = "relay"
    password: str = "s3cret canary"

    def upstream(self, folder: Path) -> str:
        """The [[upstream]] that leads here."""
        secret = folder / "upstream-password"
        secret.write_text(self.password)
        secret.chmod(0o600)
        return f"""
[[upstream]]
name = "smart host"
host = "localhost"
port = {self.port}
tls = "starttls"
username = "{self.username}"
password_file = "{secret}"
"""

    def mail_of(self, address: str) -> list[bytes]:
        """Every message delivered to an address, as SMTP had it: CRLF, without delivery fields."""
        found = sorted((self.maildirs / address / "new").glob("*"), key=lambda path: path.name)
        return [_as_sent(path.read_bytes()) for path in found]


def _as_sent(stored: bytes) -> bytes:
    """Undo what delivery adds: Return-Path, X-Original-To, Delivered-To, and its own Received."""
    lines = stored.replace(b"\r\n", b"\n").split(b"\n")
    while lines[0].startswith((b"Return-Path:", b"X-Original-To:", b"Delivered-To:")):
        del lines[0]
    assert lines[0].startswith(b"Received: from"), lines[0]
    del lines[0]
    while lines[0][:1] in b" \t":
        del lines[0]
    return b"\r\n".join(lines)


@pytest.fixture(scope="session")
def postfix(start_postfix: Callable[..., Postfix]) -> Postfix:
    return start_postfix()


@pytest.fixture(scope="session")
def start_postfix(
    ports: Callable[[], int], accepts: Callable[[int], bool], waiting: Callable[..., Any]
) -> Iterator[Callable[..., Postfix]]:
    """Start a Postfix, with more lines in main.cf and master.cf, and more people."""
    started: list[Path] = []

    def start(main: str = "", master: str = "", people: dict[str, str] | None = None) -> Postfix:
        missing = [name for name in ("postfix", "dovecot", "openssl") if not which(name)]
        if missing or os.geteuid() != 0:
            pytest.skip(f"needs root and {' '.join(missing) or 'root'}: Postfix changes its user")
        # Postfix's and the delivery's users must be able to enter; pytest's own folders are 0700.
        base = Path("/tmp") / f"indicia-postfix-{os.getpid()}-{len(started)}"
        base.mkdir(mode=0o755)
        started.append(base)
        server = _set_up_postfix(base, ports(), people or {})
        for name, lines in (("main.cf", main), ("master.cf", master)):
            with (base / "etc" / name).open("a") as file:
                file.write(lines)
        launch([which("postfix"), "-c", base / "etc", "start"], base / "start.txt")
        launch([which("dovecot"), "-c", base / "sasl" / "dovecot.conf"], base / "start.txt")
        waiting(lambda: accepts(server.port), 20, "Postfix accepts connections")
        waiting((base / "queue" / "private" / "auth").exists, 10, "Dovecot answers Postfix's SASL")
        return server

    yield start
    for base in started:
        _end_postfix(base, waiting)
        shutil.rmtree(base, ignore_errors=True)


def which(name: str) -> str | None:
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def _set_up_postfix(base: Path, port: int, people: dict[str, str]) -> Postfix:
    maildirs, etc, queue, state, sasl = (
        base / name for name in ("maildirs", "etc", "queue", "state", "sasl")
    )
    for folder in (maildirs, etc, queue, state, sasl):
        folder.mkdir(mode=0o755)
    shutil.chown(maildirs, "nobody")
    shutil.chown(state, "postfix")
    authority = _certificate(etc)
    server = Postfix(port, maildirs, authority)
    everybody = people | {server.username: server.password}
    lines = (f"{name}:{{PLAIN}}{password}\n" for name, password in everybody.items())
    (sasl / "users").write_text("".join(lines))
    shutil.chown(sasl / "users", "dovecot")
    (sasl / "dovecot.conf").write_text(_template("dovecot.conf").format(sasl=sasl, queue=queue))
    (etc / "main.cf").write_text(
        _template("main.cf").format(
            queue=queue, state=state, etc=etc, maildirs=maildirs, nobody=_nobody()
        )
    )
    boxes = [f"{name}@example.test {name}@example.test/" for name in MAILBOXES]
    (etc / "boxes").write_text("\n".join([*boxes, "@example.test catchall/"]) + "\n")
    (etc / "master.cf").write_text(_template("master.cf").format(port=port))
    return server


def _end_postfix(base: Path, waiting: Callable[..., Any]) -> None:
    if (base / "etc" / "main.cf").exists():
        try:
            subprocess.run(
                [str(which("postfix")), "-c", str(base / "etc"), "stop"],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=20,
                check=False,
            )
        except subprocess.TimeoutExpired:
            # Its postlogd can wait for its own full socket, and `postfix stop` then for it.
            master = int((base / "queue" / "pid" / "master.pid").read_text())
            with contextlib.suppress(ProcessLookupError):
                os.killpg(master, signal.SIGKILL)
    with contextlib.suppress(OSError, ValueError):
        dovecot = int((base / "sasl" / "run" / "master.pid").read_text())
        os.kill(dovecot, signal.SIGTERM)
        waiting(lambda: not Path(f"/proc/{dovecot}").exists(), 10, "Dovecot has ended")


def _template(name: str) -> str:
    return (Path(__file__).with_name("postfix") / name).read_text(encoding="utf-8")


def _nobody() -> str:
    return run(["id", "-u", "nobody"]).strip()


def _certificate(folder: Path) -> Path:
    import trustme  # noqa: PLC0415 - only where Postfix runs

    authority = trustme.CA()
    host = authority.issue_cert("localhost")
    host.private_key_and_cert_chain_pem.write_to_path(folder / "host.pem")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    return folder / "ca.pem"


def run(words: list[Any]) -> str:
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stdout


def launch(words: list[Any], output: Path) -> None:
    """Start what goes on in the background; a pipe would stay open as long as it lives."""
    with output.open("ab") as file:
        done = subprocess.run(words, stdout=file, stderr=file, timeout=60, check=False)
    assert done.returncode == 0, (words, output.read_text())


# Chromium without a window says HeadlessChrome, which is rightly called a machine.
_PERSON = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)"
    " Chrome/140.0.0.0 Safari/537.36"
)


@pytest.fixture(scope="session")
def person() -> str:
    """The user agent of a person's browser."""
    return _PERSON


@pytest.fixture
def chromium() -> Iterator[Any]:
    """A Chromium that reaches this machine only."""
    if not Path(CHROMIUM).exists():
        pytest.skip(f"needs {CHROMIUM} (Debian package chromium)")
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - only where Chromium is

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=list(CHROMIUM_FLAGS))
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def interop() -> Path:
    """The developers' scripts with real clients, beside the checkout."""
    folder = ROOT.parent / "shared" / "interop"
    if not folder.exists():
        pytest.skip(f"the developers' interop scripts are not at {folder}")
    return folder


@pytest.fixture
def answer_of() -> Callable[[str], int]:
    def ask(url: str) -> int:
        try:
            with urllib.request.urlopen(url, timeout=10) as reply:
                return int(reply.status)
        except urllib.error.HTTPError as error:
            return error.code

    return ask


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
        end = said.find(b"\r\n.\r\n", match.end() - 2) + 2
        if end == 1:  # it is still being said
            return
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


@pytest.fixture
def send_by(interop: Path) -> Callable[[str, int], None]:
    """Send a mail to To, Cc and Bcc by a real client: `send_by("swaks", port)`."""

    def send(client: str, port: int) -> None:
        folder = Path(tempfile.gettempdir()) / f"indicia-interop-{os.getuid()}"
        folder.mkdir(mode=0o755, exist_ok=True)
        environment = {
            **os.environ,
            "INTEROP_RUN": str(folder),
            "SMTP_AUTH": "0",
            "TO_ADDRS": "to1@example.test to2@example.test",
            "CC_ADDRS": "cc1@example.test",
            "BCC_ADDRS": "bcc1@example.test",
        }
        done = subprocess.run(
            [interop / "clients" / f"send-{client}.sh", "localhost", str(port), "plain"],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, (client, done.stdout[-800:], done.stderr[-800:])

    return send


@pytest.fixture
def check_copy(tmp_path: Path) -> Callable[..., Any]:
    """Compare a copy with its original by the developers' checker; return what it says."""

    def check(original: bytes, copy: bytes, collector: int, *, tracked: bool) -> Any:
        checker = ROOT.parent / "shared" / "tools" / "check_preservation.py"
        (tmp_path / "original.eml").write_bytes(original)
        (tmp_path / "copy.eml").write_bytes(copy)
        words: list[Any] = [sys.executable, checker, "--base-url", f"http://127.0.0.1:{collector}/"]
        words += ["--pixel-anywhere", "--may-drop-header", "x-indicia-.*", "--bcc", "must"]
        words += ["--require-pixel"] if tracked else []
        done = subprocess.run(
            [*words, tmp_path / "original.eml", tmp_path / "copy.eml"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode in {0, 1}, done.stderr
        return json.loads(done.stdout)

    return check


@pytest.fixture(scope="session")
def marks_of() -> Callable[[bytes], set[bytes]]:
    """Return the tokens in a mail, with its encodings undone by an independent decoder."""

    def marks(raw: bytes) -> set[bytes]:
        parts = email.message_from_bytes(raw).walk()
        text = b"\n".join(part.get_payload(decode=True) or b"" for part in parts)  # type: ignore[misc]
        return set(re.findall(rb"/[oc]/([\w-]{36})", text))

    return marks
