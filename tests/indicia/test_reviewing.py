import asyncio
import csv
import io
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from config.settings import Settings
from indicia import reviewing
from indicia.failure import Failure
from indicia.printing import Format
from indicia.reviewing import Review, read_since, read_wanted, review
from ledger.event import Event, EventType
from ledger.events import EventFilter, RecordedEvent, insert_events
from ledger.migrate import open_stores

Run = Callable[..., subprocess.CompletedProcess[bytes]]
Read = pytest.CaptureFixture[str]


def wanted(**options: Any) -> EventFilter:
    asked = {{"types": "type"}.get(name, name): said for name, said in options.items()}
    return read_wanted(
        {name: [said] if isinstance(said, str) else said for name, said in asked.items()}
    )


def listed(settings: Settings, capsys: Read, kind: str = "events", **options: Any) -> list[Any]:
    review(settings, Review(kind, wanted(**options), Format.JSON))
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_events_are_lines_of_json_in_the_form_of_the_contract(
    recorded: Settings, capsys: Read, event_keys: frozenset[str]
) -> None:
    events = listed(recorded, capsys)
    assert [event["event_id"] for event in events] == ["e1", "e2", "e3", "e4", "e5", "e6"]
    for event in events:
        delivery = event["type"] in ("email.accepted", "email.relayed")
        assert set(event) == {*event_keys, *(("reply", "upstream") if delivery else ())}
    opened = events[4]
    assert opened["timestamp"] == "2026-11-23T12:01:00.123Z"
    assert (opened["classification"], opened["machine"], opened["first"]) == (
        "human_likely",
        False,
        True,
    )
    assert events[5]["candidates"] == ["carla@example.org", "bea@example.org"]


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"types": ["opened", "email.clicked"]}, ["e5", "e6"]),
        ({"recipient": "Tom@Example.org"}, ["e1", "e4", "e5"]),
        ({"recipient": "bea@example.org"}, ["e3", "e6"]),
        ({"sender": "ann@sender.example", "types": ["relayed"]}, ["e4"]),
        ({"sender": "other@sender.example"}, []),
        ({"message_id": "<offer@sender.example>", "types": ["opened"]}, ["e5"]),
        ({"since": "2026-11-23T12:01:30Z"}, ["e6"]),
    ],
)
def test_a_filter_narrows(
    recorded: Settings, capsys: Read, options: dict[str, Any], found: list[str]
) -> None:
    assert [event["event_id"] for event in listed(recorded, capsys, **options)] == found


def test_deliveries_are_what_upstreams_said(recorded: Settings, capsys: Read) -> None:
    (told,) = listed(recorded, capsys, "deliveries")
    assert (told["event_id"], told["reply"], told["upstream"]) == ("e4", "250 2.0.0 OK", "default")
    assert listed(recorded, capsys, "deliveries", types=["opened"]) == []


def test_a_message_is_one_line_with_all_its_recipients(recorded: Settings, capsys: Read) -> None:
    (message,) = listed(recorded, capsys, "messages")
    assert message["message_id"] == "offer@sender.example"
    assert [tuple(one.values()) for one in message["recipients"]] == [
        ("tom@example.org", "to", "individual"),
        ("carla@example.org", "cc", "shared"),
        ("bea@example.org", "bcc", "shared"),
    ]


def test_a_send_that_a_page_cuts_is_still_one_message(
    recorded: Settings, capsys: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    for size in (1, 2, 3):
        monkeypatch.setattr(reviewing, "PAGE_EVENTS", size)
        (message,) = listed(recorded, capsys, "messages")
        assert len(message["recipients"]) == 3
        assert len(listed(recorded, capsys)) == 6


def test_csv_has_a_head_is_quoted_and_holds_no_formula(
    recorded: Settings, capsys: Read, event_keys: frozenset[str]
) -> None:
    review(recorded, Review("events", wanted(types=["opened"]), Format.CSV))
    printed = capsys.readouterr().out
    head, row = csv.reader(io.StringIO(printed))
    assert set(head) == {*event_keys, "reply", "upstream"}
    cells = dict(zip(head, row, strict=True))
    assert cells["subject"] == "'=Our offer\x1b[2J"
    assert (cells["first"], cells["repeats"], cells["reply"]) == ("true", "2", "")
    assert printed.startswith('"event_id","type"')
    review(recorded, Review("messages", wanted(), Format.CSV))
    head, row = csv.reader(io.StringIO(capsys.readouterr().out))
    assert len(head) == len(row) == 6


def test_a_table_says_who_did_what_and_steers_no_terminal(recorded: Settings, capsys: Read) -> None:
    review(recorded, Review("events", wanted(), Format.TABLE))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:3] == ["time", "(UTC)", "what"]
    assert lines[4].endswith("default: 250 2.0.0 OK")
    assert lines[5].startswith("2026-11-23 12:01:00  opened        tom@example.org  ")
    assert lines[5].endswith("human_likely 82% · a browser · and 2 times again")
    assert "someone of carla@example.org" in lines[6]
    assert "\x1b" not in "".join(lines)
    review(recorded, Review("messages", wanted(), Format.TABLE))
    assert "3 people      tom@example.org, carla@exampl…  ann@" in capsys.readouterr().out


def test_without_a_record_it_says_what_to_do(sandbox: Settings) -> None:
    with pytest.raises(Failure, match=r"no record yet at .*ledger.db; start Indicia first") as told:
        review(sandbox, Review("events", wanted(), Format.JSON))
    assert told.value.status == 1


NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("30s", NOW - timedelta(seconds=30)),
        ("2d", NOW - timedelta(days=2)),
        ("1w", NOW - timedelta(weeks=1)),
        ("2026-11-01", datetime(2026, 11, 1, tzinfo=UTC)),
        ("2026-11-01T02:00:00+02:00", datetime(2026, 11, 1, tzinfo=UTC)),
    ],
)
def test_since_is_an_age_or_an_instant(text: str, at: datetime) -> None:
    assert read_since(text, NOW) == at


@pytest.mark.parametrize(
    "options",
    [
        {"since": "yesterday"},
        {"since": "99999999999d"},
        {"recipient": "nobody"},
        {"sender": ""},
        {"types": ["read"]},
    ],
)
def test_a_wrong_option_is_usage(options: dict[str, Any]) -> None:
    with pytest.raises(Failure) as told:
        wanted(**options)
    assert told.value.status == 2
    assert "; write " in str(told.value)


def test_the_command_reviews_the_log(recorded: Settings, indicia: Run) -> None:
    env = {"INDICIA_SERVER__STATE_DIR": str(recorded.server.state_dir)}
    done = indicia("log", "--json", "--type", "email.clicked", env=env)
    assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads(done.stdout)["url"] == "https://example.com/offer"


@contextmanager
def ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """End a process that a failed test would wait for without end."""
    try:
        yield
    finally:
        process.kill()


def test_follow_goes_on_with_what_comes_and_ends_well(recorded: Settings, tmp_path: Path) -> None:
    config = tmp_path / "indicia.toml"
    config.write_text("")
    words = [Path(sys.executable).with_name("indicia"), "--config", config, "log", "--json", "-f"]
    # What a script starts in the background ignores SIGINT, and so would its children.
    heed = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    process = subprocess.Popen(words, stdout=subprocess.PIPE, cwd=tmp_path, preexec_fn=heed)  # noqa: PLW1509 - no thread runs
    with process, ended(process):
        assert process.stdout is not None
        for number in range(1, 7):
            assert json.loads(process.stdout.readline())["event_id"] == f"e{number}"
        asyncio.run(_add(recorded, "e7"))
        assert json.loads(process.stdout.readline())["event_id"] == "e7"
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0


async def _add(settings: Settings, event_id: str) -> None:
    stores = await open_stores(settings.database.url, settings.database.spool_url)
    async with stores.ledger.write() as connection:
        event = Event(event_id, EventType.OPENED, NOW)
        await insert_events(connection, [RecordedEvent(event)])
    await stores.close()


def test_the_log_is_narrowed_by_what_the_console_asks_too(recorded: Settings, capsys: Read) -> None:
    every = listed(recorded, capsys)
    some = [one for one in every if "offer" in (one["subject"] or "").lower()]
    assert listed(recorded, capsys, subject="OFFER") == some
    assert listed(recorded, capsys, url="nowhere.example") == []
    assert listed(recorded, capsys, until="2000-01-01") == []
    with pytest.raises(Failure, match="--classification: 'robot' is no classification"):
        wanted(classification="robot")
