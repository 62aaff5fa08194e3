"""Real programs around a real Indicia: how each is started and ended."""

import contextlib
import os
import shutil
import signal
import subprocess
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
def postfix(
    ports: Callable[[], int], accepts: Callable[[int], bool], waiting: Callable[..., Any]
) -> Iterator[Postfix]:
    missing = [name for name in ("postfix", "dovecot", "openssl") if not which(name)]
    if missing or os.geteuid() != 0:
        pytest.skip(f"needs root and {' '.join(missing) or 'root'}: Postfix changes its user")
    # Postfix's and the delivery's users must be able to enter; pytest's own folders are 0700.
    base = Path("/tmp") / f"indicia-postfix-{os.getpid()}"
    base.mkdir(mode=0o755)
    try:
        server = _start_postfix(base, ports())
        waiting(lambda: accepts(server.port), 20, "Postfix accepts connections")
        waiting((base / "queue" / "private" / "auth").exists, 10, "Dovecot answers Postfix's SASL")
        yield server
    finally:
        _end_postfix(base, waiting)
        shutil.rmtree(base, ignore_errors=True)


def which(name: str) -> str | None:
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def _start_postfix(base: Path, port: int) -> Postfix:
    maildirs, etc, queue, state, sasl = (
        base / name for name in ("maildirs", "etc", "queue", "state", "sasl")
    )
    for folder in (maildirs, etc, queue, state, sasl):
        folder.mkdir(mode=0o755)
    shutil.chown(maildirs, "nobody")
    shutil.chown(state, "postfix")
    authority = _certificate(etc)
    server = Postfix(port, maildirs, authority)
    (sasl / "users").write_text(f"{server.username}:{{PLAIN}}{server.password}\n")
    shutil.chown(sasl / "users", "dovecot")
    (sasl / "dovecot.conf").write_text(_DOVECOT.format(sasl=sasl, queue=queue))
    (etc / "main.cf").write_text(
        _MAIN_CF.format(queue=queue, state=state, etc=etc, maildirs=maildirs, nobody=_nobody())
    )
    boxes = [f"{name}@example.test {name}@example.test/" for name in MAILBOXES]
    (etc / "boxes").write_text("\n".join([*boxes, "@example.test catchall/"]) + "\n")
    (etc / "master.cf").write_text(_MASTER_CF.format(port=port))
    launch([which("postfix"), "-c", etc, "start"], base / "start.txt")
    launch([which("dovecot"), "-c", sasl / "dovecot.conf"], base / "start.txt")
    return server


def _end_postfix(base: Path, waiting: Callable[..., Any]) -> None:
    if (base / "etc" / "main.cf").exists():
        subprocess.run(
            [str(which("postfix")), "-c", str(base / "etc"), "stop"],
            capture_output=True,
            check=False,
        )
    with contextlib.suppress(OSError, ValueError):
        dovecot = int((base / "sasl" / "run" / "master.pid").read_text())
        os.kill(dovecot, signal.SIGTERM)
        waiting(lambda: not Path(f"/proc/{dovecot}").exists(), 10, "Dovecot has ended")


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


_DOVECOT = """
base_dir = {sasl}/run
log_path = {sasl}/log
protocols =
ssl = no
auth_mechanisms = plain login
passdb {{
  driver = passwd-file
  args = {sasl}/users
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home=/nonexistent
}}
service auth {{
  unix_listener {queue}/private/auth {{
    mode = 0660
    user = postfix
    group = postfix
  }}
}}
"""

_MAIN_CF = """
compatibility_level = 3.6
queue_directory = {queue}
data_directory = {state}
maillog_file = {etc}/log
maillog_file_prefixes = {etc}
myhostname = upstream.test
mydestination =
mynetworks = 192.0.2.1/32
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
local_recipient_maps =
virtual_mailbox_domains = example.test
virtual_mailbox_base = {maildirs}
virtual_mailbox_maps = texthash:{etc}/boxes
virtual_uid_maps = static:{nobody}
virtual_gid_maps = static:{nobody}
virtual_minimum_uid = 1
smtpd_tls_chain_files = {etc}/host.pem
smtpd_tls_security_level = encrypt
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = private/auth
smtpd_recipient_restrictions = permit_sasl_authenticated, reject
smtpd_peername_lookup = no
local_header_rewrite_clients =
smtp_host_lookup = native
disable_dns_lookups = yes
message_size_limit = 52428800
virtual_mailbox_limit = 0
mailbox_size_limit = 0
"""

_MASTER_CF = """
127.0.0.1:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


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
