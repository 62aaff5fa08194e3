import asyncio
import json
import sqlite3
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import trustme

from config.settings import Dkim, Relay, Settings
from indicia import checking
from indicia.checking import check_all
from indicia.reaching import Reached
from ledger.keys import load_keys
from ledger.migrate import open_stores

Read = pytest.CaptureFixture[str]


class Usage(NamedTuple):
    free: int


def found(settings: Settings, capsys: Read, of: str) -> list[tuple[str, str]]:
    check_all(settings, None, as_json=True)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [
        (line["state"], f"{line['text']}; {line['mend']}") for line in lines if line["of"] == of
    ]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test but its own asks a tracking host."""
    monkeypatch.setattr(
        checking, "reach_base", lambda *_: Reached("127.0.0.1", good=True, text="answers")
    )


def test_a_fresh_sandbox_has_nothing_that_failed(sandbox: Settings, capsys: Read) -> None:
    assert check_all(sandbox, None, as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["ok", "configuration"],
        ["ok", "hostname"],
        ["warning", "keys"],
        ["warning", "ledger"],
        ["warning", "spool"],
        ["ok", "space"],
        ["ok", "upstream"],
        ["ok", "tracking"],
        [lines[-1].split()[0], "clock"],
    ]
    assert not sandbox.server.state_dir.exists()


def test_stores_and_keys_in_order_are_ok(sandbox: Settings, capsys: Read) -> None:
    load_keys(sandbox.keys_dir)
    asyncio.run(_make_stores(sandbox))
    for of, text in (("keys", "key 0 signs"), ("ledger", "has the tables of version")):
        ((state, told),) = found(sandbox, capsys, of)
        assert state == "ok"
        assert text in told


async def _make_stores(settings: Settings) -> None:
    stores = await open_stores(settings.database.url, settings.database.spool_url)
    await stores.close()


def test_a_store_of_another_version_is_told(
    sandbox: Settings, capsys: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    asyncio.run(_make_stores(sandbox))
    with sqlite3.connect(sandbox.server.state_dir / "ledger.db") as ledger:
        ledger.execute("UPDATE alembic_version SET version_num = '9999'")
    ledger.close()
    ((state, told),) = found(sandbox, capsys, "ledger")
    assert (state, "newer than this program" in told) == ("failed", True)
    monkeypatch.setattr(checking, "known_versions", lambda _: ("9999", "99999"))
    ((state, told),) = found(sandbox, capsys, "ledger")
    assert (state, "the next start brings them to 99999" in told) == ("warning", True)


def test_facts_that_were_set_aside_are_told(sandbox: Settings, capsys: Read) -> None:
    asyncio.run(_make_stores(sandbox))
    assert found(sandbox, capsys, "facts") == []
    with sqlite3.connect(sandbox.server.state_dir / "spool.db") as spool:
        spool.execute("INSERT INTO refused_facts VALUES (7, '{}', 0, 'ValueError()')")
    spool.close()
    ((state, told),) = found(sandbox, capsys, "facts")
    assert (state, told.startswith("1 facts were not taken by the ledger")) == ("warning", True)


def test_a_broken_store_failed(sandbox: Settings, capsys: Read) -> None:
    sandbox.server.state_dir.mkdir()
    (sandbox.server.state_dir / "spool.db").write_bytes(b"no database" * 100)
    ((state, told),) = found(sandbox, capsys, "spool")
    assert state == "failed"
    assert "file is not a database" in told


def test_a_key_that_others_may_read_failed(sandbox: Settings, capsys: Read) -> None:
    load_keys(sandbox.keys_dir)
    (sandbox.keys_dir / "token-0.key").chmod(0o644)
    ((state, told),) = found(sandbox, capsys, "keys")
    assert (state, "chmod 600" in told) == ("failed", True)


def test_a_key_that_signs_mail_is_looked_at(
    sandbox: Settings, capsys: Read, tmp_path: Path
) -> None:
    assert found(sandbox, capsys, "dkim") == []
    file = tmp_path / "key.pem"
    table = Dkim(domain="a.example", selector="s1", private_key_file=file)
    settings = sandbox.model_copy(update={"dkim": (table,)})
    ((state, told),) = found(settings, capsys, "dkim")
    assert state == "failed"
    assert told.startswith(f"s1._domainkey.a.example: {file} can not be read")
    subprocess.run(["openssl", "genrsa", "-out", file, "2048"], check=True, capture_output=True)
    file.chmod(0o640)
    ((state, told),) = found(settings, capsys, "dkim")
    assert (state, told.endswith(f"; run: chmod 600 {file}")) == ("warning", True)
    file.chmod(0o600)
    ((state, told),) = found(settings, capsys, "dkim")
    assert (state, "can sign" in told) == ("ok", True)


def test_published_ranges_are_looked_at(sandbox: Settings, capsys: Read, tmp_path: Path) -> None:
    assert found(sandbox, capsys, "ranges") == []
    folder = tmp_path / "ranges"
    kept = sandbox.collector.model_copy(update={"ranges_dir": folder})
    settings = sandbox.model_copy(update={"collector": kept})
    ((state, told),) = found(settings, capsys, "ranges")
    assert (state, told.startswith(f"{folder} can not be read (No such")) == ("failed", True)
    folder.mkdir()
    today = datetime.now(UTC).date()
    (folder / "a.ranges").write_text(f"scanner {today}\n203.0.113.0/24\n")
    (folder / "b.ranges").write_text("proxy 2020-01-01\n203.0.113.0/24\n")
    (folder / "c.ranges").write_text("proxy 2020-01-01\n203.0.113.1/24\n")
    broken, good, old = found(settings, capsys, "ranges")
    assert broken == (
        "failed",
        f"{folder}/c.ranges, line 2: '203.0.113.1/24' is no network; write \"203.0.113.0/24\"; ",
    )
    assert good == ("ok", f"a.ranges speaks for scanner, fetched on {today}; ")
    assert (old[0], "fetch it again" in old[1]) == ("warning", True)


def test_the_certificate_of_the_relay_is_looked_at(
    sandbox: Settings, capsys: Read, tmp_path: Path
) -> None:
    assert found(sandbox, capsys, "certificate") == []
    certificate, key = tmp_path / "fullchain.pem", tmp_path / "privkey.pem"
    relay = Relay(tls={"certificate": certificate, "private_key": key})
    server = sandbox.server.model_copy(update={"hostname": "mail.a.example"})
    settings = sandbox.model_copy(update={"relay": relay, "server": server})

    def look(names: list[str], **options: object) -> tuple[str, str]:
        leaf = trustme.CA().issue_cert(*names, **options)  # type: ignore[arg-type] # a date
        certificate.write_bytes(leaf.cert_chain_pems[0].bytes())
        key.write_bytes(leaf.private_key_pem.bytes())
        key.chmod(mode)
        (finding,) = found(settings, capsys, "certificate")
        return finding

    mode = 0o600
    ((state, told),) = found(settings, capsys, "certificate")
    assert (state, told.startswith(f"{certificate} can not be read")) == ("failed", True)
    for name in ("mail.a.example", "*.a.example"):
        state, told = look([name, "192.0.2.1"])
        assert state == "ok"
        assert told.startswith(f"{certificate} is for {name}, 192.0.2.1, until ")
    state, told = look(["a.example"])
    assert (state, "not for mail.a.example" in told) == ("warning", True)
    state, told = look(["mail.a.example"], not_after=datetime(2020, 1, 1, tzinfo=UTC))
    assert (state, "until 2020-01-01; renew it" in told) == ("failed", True)
    state, told = look(["mail.a.example"], not_after=datetime.now(UTC) + timedelta(days=13))
    assert (state, "no restart" in told) == ("warning", True)
    mode = 0o640
    state, told = look(["mail.a.example"])
    assert (state, told.endswith(f"; run: chmod 600 {key}")) == ("warning", True)
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-subj",
            "/CN=x",
            "-days",
            "99",
            "-keyout",
            key,
            "-out",
            certificate,
        ],
        check=True,
        capture_output=True,
    )
    ((state, told),) = found(settings, capsys, "certificate")
    assert (state, "is for no name" in told) == ("warning", True)


def test_little_space_is_a_warning(
    sandbox: Settings, capsys: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(1 << 20))
    ((state, told),) = found(sandbox, capsys, "space")
    assert (state, told.startswith("0.0 GiB free at ")) == ("warning", True)


@pytest.mark.parametrize(("clock", "state"), [(0, "ok"), (-1, "ok"), (5, "warning")])
def test_the_kernel_is_asked_for_the_clock(
    sandbox: Settings, capsys: Read, monkeypatch: pytest.MonkeyPatch, clock: int, state: str
) -> None:
    class Library:
        def __init__(self, _name: None) -> None:
            pass

        def adjtimex(self, _buffer: object) -> int:
            return clock

    monkeypatch.setattr("ctypes.CDLL", Library)
    assert [one[0] for one in found(sandbox, capsys, "clock")] == [state]


def test_localhost_is_no_name_for_upstreams_elsewhere(capsys: Read, tmp_path: Path) -> None:
    settings = Settings(
        server={"state_dir": tmp_path},
        upstream=[{"host": "192.0.2.1", "username": "x", "password_file": tmp_path / "none"}],
    )
    ((state, told),) = found(settings, capsys, "hostname")
    assert (state, "set server.hostname" in told) == ("warning", True)
    ((state, told),) = found(settings, capsys, "upstream")
    assert (state, "can not be read (No such file" in told) == ("failed", True)


def upstream(tmp_path: Path, port: int, **said: object) -> Settings:
    return Settings(
        server={"state_dir": tmp_path},
        upstream=[{"name": "smart", "host": "127.0.0.1", "port": port, "tls": "none", **said}],
    )


def test_an_upstream_is_spoken_to(
    tmp_path: Path, capsys: Read, answering: Callable[[str], int]
) -> None:
    port = answering("250 OK")
    ((state, told),) = found(upstream(tmp_path, port), capsys, "upstream")
    assert state == "ok"
    assert told.startswith(f"smart (127.0.0.1:{port}): EHLO, TLS as configured (none); it offers ")
    ((state, told),) = found(upstream(tmp_path, port, tls="starttls"), capsys, "upstream")
    assert state == "failed"
    assert "STARTTLS" in told
    ((state, told),) = found(upstream(tmp_path, 1), capsys, "upstream")
    assert state == "failed"


def test_a_password_that_others_may_read_is_a_warning_and_never_shown(
    tmp_path: Path, capsys: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("canary")
    secret.chmod(0o644)
    opened: list[Any] = []

    class Wire:
        def quit(self, _timeout_s: float) -> None:
            opened.append("quit")

        abort = opened.clear

    class Opened:
        wire, offers = Wire(), frozenset({"auth"})

    async def open_connection(*_: object) -> Opened:
        return Opened()

    monkeypatch.setattr(checking, "open_connection", open_connection)
    settings = upstream(tmp_path, 1, username="me", password_file=secret, tls="starttls")
    ((state, told),) = found(settings, capsys, "upstream")
    assert (state, "signed in as me" in told, "chmod 600" in told) == ("warning", True, True)
    assert "canary" not in told
    tokens = {
        "auth": "xoauth2",
        "oauth_token_url": "https://t.example/token",
        "oauth_client_id": "us",
        "oauth_client_secret_file": secret,
        "oauth_refresh_token_file": secret,
    }
    settings = upstream(tmp_path, 1, username="me", tls="starttls", **tokens)
    ((state, told),) = found(settings, capsys, "upstream")
    assert (state, f"chmod 600 {secret} {secret}" in told) == ("warning", True)
    shown = {
        "auth": "certificate",
        "client_certificate_file": secret,
        "client_private_key_file": secret,
    }
    ((state, told),) = found(upstream(tmp_path, 1, tls="starttls", **shown), capsys, "upstream")
    assert (state, f"chmod 600 {secret}" in told, "signed in" in told) == ("warning", True, False)


@pytest.mark.parametrize(
    ("reached", "state"),
    [
        (Reached("127.0.0.1", good=True, text="x"), "ok"),
        (Reached("127.0.0.1", good=False, text="x", silent=True), "warning"),
        (Reached("t.example", good=False, text="x", silent=True), "failed"),
        (Reached("127.0.0.1", good=False, text="x"), "failed"),
    ],
)
def test_a_collector_that_is_silent_here_may_just_not_be_started(
    sandbox: Settings, capsys: Read, monkeypatch: pytest.MonkeyPatch, reached: Reached, state: str
) -> None:
    monkeypatch.setattr(checking, "reach_base", lambda *_: reached)
    assert [one[0] for one in found(sandbox, capsys, "tracking host")] == [state]


def test_it_does_not_hold_where_something_failed(sandbox: Settings, capsys: Read) -> None:
    load_keys(sandbox.keys_dir)
    (sandbox.keys_dir / "token-0.key").write_text("x")
    assert not check_all(sandbox, Path("indicia.toml"), as_json=False)
    assert "indicia.toml is in order" in capsys.readouterr().out
