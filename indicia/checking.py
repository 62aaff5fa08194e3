"""What could stand in the way: each thing looked at, and the mend.

Nothing is made or migrated by looking, no mail is sent, and no hit is recorded.
"""

import asyncio
import ctypes
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path

from sqlalchemy import MetaData
from sqlalchemy.exc import SQLAlchemyError

from collector.ranges import read_folder
from config.kinds import is_loopback
from config.settings import Settings
from indicia.printing import plain_text, print_json, print_line
from indicia.reaching import reach_base
from ledger import schema
from ledger.engine import Store, sqlite_file
from ledger.keys import KeyFileError, KeyRing, load_keys
from ledger.migrate import installed_version, known_versions
from ledger.outbox import count_refused
from relay.configured import upstreams_of
from relay.deliver.connect import Access, ConnectError, open_connection, system_contexts
from relay.upstream import Timeouts, Upstream

RENEWAL_DUE = timedelta(days=14)
"""certbot renews a month before the end: two weeks later it has failed for long."""
RANGES_OLD = timedelta(days=183)
"""Google and Microsoft change theirs several times a year."""
LOW_SPACE_BYTES = 1 << 30
"""Forty mails of the largest size by default, and a while to react."""
UPSTREAM_TIMEOUTS = Timeouts(connect_s=10, open_s=20, command_s=20, quit_s=2)
"""Somebody waits for the answer."""

_TIME_ERROR = 5
"""adjtimex(2): the clock is not synchronized."""


class State(StrEnum):
    """How it stands with one thing."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the answer."""

    of: str
    state: State
    text: str
    mend: str = ""


def check_all(settings: Settings, file: Path | None, *, as_json: bool) -> bool:
    """Print a finding for each thing; tell whether nothing failed."""
    good = True
    for finding in _findings(settings, file):
        good = good and finding.state is not State.FAILED
        if as_json:
            print_json(asdict(finding))
        else:
            mend = f"; {finding.mend}" if finding.mend else ""
            told = f"{finding.text}{mend}"
            print_line(f"{finding.state:<8} {finding.of:<14} {plain_text(told)}")
    return good


def _findings(settings: Settings, file: Path | None) -> Iterator[Finding]:
    read = f"{file} is in order" if file else "no file: the sandbox's defaults are in force"
    yield Finding("configuration", State.OK, read)
    yield from _check_hostname(settings)
    ring, finding = _check_keys(settings.keys_dir)
    yield finding
    yield from _check_certificate(settings)
    yield from _check_dkim(settings)
    yield from _check_stores(settings)
    yield _check_space(settings.server.state_dir)
    yield from _check_ranges(settings.collector.ranges_dir)
    yield from _check_upstreams(settings)
    bases = (settings.tracking.base_url, *(host.base_url for host in settings.tracking_host))
    for base in bases:
        yield _check_base(base, ring)
    yield _check_clock()


def _check_hostname(settings: Settings) -> Iterator[Finding]:
    hostname = settings.server.hostname
    abroad = [one.host for one in settings.upstream if not is_loopback(one.host)]
    if abroad and is_loopback(hostname):
        text = f"EHLO says {hostname} to {abroad[0]}, and many servers refuse that"
        mend = "set server.hostname to this machine's full name"
        yield Finding("hostname", State.WARNING, text, mend)
    else:
        yield Finding("hostname", State.OK, f"EHLO says {hostname}")


def _check_keys(folder: Path) -> tuple[KeyRing | None, Finding]:
    if not any(folder.glob("token-*.key")):
        text = f"none in {folder} yet; the first start makes one"
        mend = "copy the folder from your other machine, if there is one"
        return None, Finding("keys", State.WARNING, text, mend)
    try:
        ring = load_keys(folder)
    except (KeyFileError, OSError) as error:
        return None, Finding("keys", State.FAILED, str(error))
    text = f"{len(ring.keys)} in {folder}; key {ring.current.key_id} signs"
    return ring, Finding("keys", State.OK, text)


def _check_certificate(settings: Settings) -> Iterator[Finding]:
    tls = settings.relay.tls
    if tls.certificate is None or tls.private_key is None:
        return
    # cryptography takes a fifth of a second to load.
    from relay.accept.certificate import load_context, read_validity

    try:
        load_context(tls.certificate, tls.private_key)
    except KeyFileError as error:
        yield Finding("certificate", State.FAILED, str(error))
        return
    names, ends_at = read_validity(tls.certificate)
    told = f"{tls.certificate} is for {', '.join(names) or 'no name'}, until {ends_at:%Y-%m-%d}"
    left, hostname = ends_at - datetime.now(UTC), settings.server.hostname
    if left <= timedelta(0):
        mend = "renew it: mail programs refuse it"
        yield Finding("certificate", State.FAILED, told, mend)
    elif left < RENEWAL_DUE:
        yield Finding("certificate", State.WARNING, told, "renew it; no restart is needed")
    elif not any(_is_named(name, hostname) for name in names):
        text, mend = f"{told}, not for {hostname}", "mail programs must use a name it is for"
        yield Finding("certificate", State.WARNING, text, mend)
    elif tls.private_key.stat().st_mode & 0o077:
        mend = f"run: chmod 600 {tls.private_key}"
        yield Finding("certificate", State.WARNING, f"{told}; others may read its key", mend)
    else:
        yield Finding("certificate", State.OK, told)


def _is_named(name: str, hostname: str) -> bool:
    # RFC 6125 6.4.3: * stands for one label, the left-most.
    name, hostname = name.lower(), hostname.lower().rstrip(".")
    return name == hostname or (
        name.startswith("*.") and name[1:] == hostname[hostname.find(".") :]
    )


def _check_dkim(settings: Settings) -> Iterator[Finding]:
    if not settings.dkim:
        return
    # cryptography takes a fifth of a second to load.
    from relay.signers import load_signers

    for table in settings.dkim:
        name = f"{table.selector}._domainkey.{table.domain}"
        try:
            load_signers((table,))
            mode = table.private_key_file.stat().st_mode
        except (KeyFileError, OSError) as error:
            yield Finding("dkim", State.FAILED, f"{name}: {error}")
            continue
        if mode & 0o077:
            mend = f"run: chmod 600 {table.private_key_file}"
            yield Finding("dkim", State.WARNING, f"{name}: others may read its key", mend)
        else:
            yield Finding("dkim", State.OK, f"{name}: {table.private_key_file} can sign")


def _check_ranges(folder: Path | None) -> Iterator[Finding]:
    if folder is None:
        return
    reading = read_folder(folder)
    for fault in reading.faults.values():
        yield Finding("ranges", State.FAILED, fault)
    for name, one in reading.lists.items():
        text = f"{name} speaks for {one.kind.value}, fetched on {one.as_of}"
        if datetime.now(UTC).date() - one.as_of > RANGES_OLD:
            mend = "fetch it again: networks change hands"
            yield Finding("ranges", State.WARNING, text, mend)
        else:
            yield Finding("ranges", State.OK, text)


def _check_stores(settings: Settings) -> Iterator[Finding]:
    yield _check_store("ledger", settings.database.url, schema.ledger)
    spool = _check_store("spool", settings.database.spool_url, schema.spool)
    yield spool
    if spool.state is State.OK and (
        refused := asyncio.run(_refused_facts(settings.database.spool_url))
    ):
        text = f"{refused} facts were not taken by the ledger and are set aside"
        mend = "the log says why (fact.refused); each start offers them again, an upgrade may do"
        yield Finding("facts", State.WARNING, text, mend)


async def _refused_facts(url: str) -> int:
    spool = Store(url)
    try:
        async with spool.read() as connection:
            return await count_refused(connection)
    finally:
        await spool.close()


def _check_store(name: str, url: str, tables: MetaData) -> Finding:
    file = sqlite_file(url)
    if not file.exists():
        return Finding(name, State.WARNING, f"no {file} yet; the first start makes it")
    known = known_versions(tables)
    try:
        version = asyncio.run(installed_version(url))
    except (SQLAlchemyError, OSError) as error:
        mend = "restore it from a backup, or let its user read it"
        return Finding(name, State.FAILED, f"{file} can not be read: {_brief(error)}", mend)
    if version is None or version == known[-1]:
        return Finding(name, State.OK, f"{file} has the tables of version {known[-1]}")
    if version in known:
        text = f"{file} has the tables of version {version}; the next start brings them to "
        return Finding(name, State.WARNING, f"{text}{known[-1]}", "make a backup first")
    text = f"{file} has the tables of version {version}, which is newer than this program"
    return Finding(name, State.FAILED, text, "run the newer program")


def _check_space(folder: Path) -> Finding:
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(there).free
    text = f"{free / (1 << 30):.1f} GiB free at {there}"
    if free < LOW_SPACE_BYTES:
        return Finding("space", State.WARNING, text, "make room before mail is put off with 452")
    return Finding("space", State.OK, text)


def _check_upstreams(settings: Settings) -> Iterator[Finding]:
    upstreams = upstreams_of(settings)
    if not upstreams:
        text = "none: mail is captured and goes to nobody"
        yield Finding("upstream", State.OK, text)
    for upstream in upstreams:
        yield asyncio.run(_check_upstream(upstream, settings.server.hostname))


async def _check_upstream(upstream: Upstream, hostname: str) -> Finding:
    name = f"{upstream.name} ({upstream.host}:{upstream.port})"
    open_to_others: list[Path] = []
    for secret in _secrets_of(upstream):
        try:
            secret.read_bytes()
            if secret.stat().st_mode & 0o077:
                open_to_others.append(secret)
        except OSError as error:
            text = f"{name}: {secret} can not be read ({error.strerror})"
            return Finding("upstream", State.FAILED, text, "let the relay's user read it")
    try:
        access = Access(upstream, hostname, system_contexts(), UPSTREAM_TIMEOUTS)
        connection = await open_connection(access)
    except ConnectError as error:
        mend = "mail waits in the queue until this is mended"
        return Finding("upstream", State.FAILED, f"{name}: {error}", mend)
    connection.wire.quit(UPSTREAM_TIMEOUTS.quit_s)
    connection.wire.abort()
    signed = f", signed in as {upstream.username}" if upstream.username else ""
    offers = " ".join(sorted(word.upper() for word in connection.offers))
    text = f"{name}: EHLO, TLS as configured ({upstream.tls.value}){signed}; it offers {offers}"
    if open_to_others:
        mend = f"run: chmod 600 {' '.join(map(str, open_to_others))}"
        return Finding("upstream", State.WARNING, f"{text}; others may read its secret", mend)
    return Finding("upstream", State.OK, text)


def _secrets_of(upstream: Upstream) -> tuple[Path, ...]:
    oauth, certificate = upstream.oauth, upstream.certificate
    files = (
        upstream.password_file,
        oauth.client_secret_file if oauth else None,
        oauth.refresh_token_file if oauth else None,
        certificate.private_key_file if certificate else None,
    )
    return tuple(file for file in files if file is not None)


def _check_base(base: str, ring: KeyRing | None) -> Finding:
    reached = reach_base(base, ring.current if ring else None)
    if reached.good:
        return Finding("tracking host", State.OK, f"{base}: {reached.text}")
    # A sandbox that is not started yet has nothing wrong with it.
    state = State.WARNING if reached.silent and is_loopback(reached.host) else State.FAILED
    return Finding("tracking host", state, f"{base}: {reached.text}", reached.mend)


def _check_clock() -> Finding:
    # struct timex of adjtimex(2) is under 256 bytes everywhere; modes = 0 only asks.
    clock = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(256))
    if clock == _TIME_ERROR:
        text = "the kernel says it is not synchronized; opens and clicks are judged by it"
        return Finding("clock", State.WARNING, text, "run an NTP client, such as chrony")
    return Finding("clock", State.OK, "synchronized" if clock >= 0 else "not told by the system")


def _brief(error: Exception) -> str:
    return str(error).splitlines()[0]
