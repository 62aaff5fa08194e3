import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from config.settings import Settings
from indicia.explaining import Supposed, explain_message, preview_message
from indicia.failure import Failure
from ledger.keys import KeyFileError

Run = Callable[..., subprocess.CompletedProcess[bytes]]
Read = pytest.CaptureFixture[str]

OFFER = b"""\
From: Ann <ann@sender.example>
To: Tom <tom@example.org>
Cc: carla@example.org
Subject: offer
Message-ID: <1@sender.example>
X-Indicia-Track: nonsense
MIME-Version: 1.0
Content-Type: text/html; charset=utf-8

<html><body><p>
.dotted <a href="https://example.com/offer?a=1&amp;b=2">the offer</a>
<a href="https://example.com/">https://example.com/</a></p></body></html>
"""
PEOPLE = ("tom@example.org", "carla@example.org", "bea@example.org")


@pytest.fixture
def message(tmp_path: Path) -> str:
    file = tmp_path / "offer.eml"
    file.write_bytes(OFFER)
    return str(file)


def explained(settings: Settings, supposed: Supposed, capsys: Read) -> list[dict[str, object]]:
    explain_message(settings, supposed, as_json=True)
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def with_rules(*rules: dict[str, object]) -> Settings:
    return Settings(rule=list(rules))


def test_each_recipient_has_an_object_in_the_form_of_the_contract(
    message: str, capsys: Read
) -> None:
    board = {"name": "board", "recipient": "*@example.org", "mode": "shared"}
    supposed = Supposed(message, "ann@sender.example", PEOPLE)
    tom, carla, bea = explained(with_rules(board), supposed, capsys)
    assert [one["recipient_type"] for one in (tom, carla, bea)] == ["to", "cc", "bcc"]
    assert (tom["mode"], tom["opens"], tom["clicks"], tom["copy"]) == ("shared", True, "html", 1)
    assert {"of": "mode", "is": "shared", "because": "rule", "name": "board"} in tom["reasons"]
    assert tom["parts"] == [
        {"part": "1", "media_type": "text/html", "tracked": True, "reason": None}
    ]
    first, second = tom["links"]
    assert first == {
        "link_id": "1",
        "part": "1",
        "url": "https://example.com/offer?a=1&b=2",
        "text": "the offer",
        "tracked": True,
        "reason": None,
    }
    assert (second["tracked"], second["reason"]) == (False, "text_is_url")


def test_the_words_tell_who_what_and_why(message: str, capsys: Read) -> None:
    board = {"name": "board", "recipient": "carla@example.org", "mode": "off"}
    supposed = Supposed(message, "ann@sender.example", PEOPLE)
    explain_message(with_rules(board), supposed, as_json=False)
    told = capsys.readouterr().out
    assert re.search(r"carla@example.org +cc +off +no +none +2", told)
    assert "what decided for tom@example.org, bea@example.org:" in told
    assert re.search(r"mode +off +the rule “board”", told)
    assert re.search(r"link 1 +“the offer” +https://example.com/offer\?a=1&b=2 +tracked", told)
    assert "left alone: its text is itself an address" in told
    assert "ignored: " in told
    assert "nonsense" in told


def test_a_rule_for_an_account_matches_who_has_signed_in(message: str, capsys: Read) -> None:
    rule = {"name": "sales", "account": "ann", "mode": "off"}
    for account, mode in ((None, "individual"), ("ann", "off")):
        supposed = Supposed(message, "ann@sender.example", PEOPLE[:1], account)
        (tom,) = explained(with_rules(rule), supposed, capsys)
        assert tom["mode"] == mode


def test_the_null_sender_is_never_tracked(message: str, capsys: Read) -> None:
    (tom,) = explained(Settings(), Supposed(message, "", PEOPLE[:1]), capsys)
    assert (tom["mode"], tom["reasons"][0]["name"]) == ("off", "null_sender")


def test_recipients_that_are_one_are_explained_once(message: str, capsys: Read) -> None:
    twice = ("Tom@Example.org", "tom@example.org")
    (tom,) = explained(Settings(), Supposed(message, "ann@sender.example", twice), capsys)
    assert tom["recipient"] == "Tom@example.org"


def test_a_preview_is_the_original_but_for_what_is_put_in(
    message: str, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    supposed = Supposed(message, "ann@sender.example", PEOPLE)
    preview_message(Settings(), supposed, "bea@example.org", diff=False)
    got = capfdbinary.readouterr().out
    assert got.startswith(b"Received: from localhost ")
    undone = re.sub(rb'<img src="http://127.0.0.1:8025/o/[\w-]{36}\.gif"[^>]*>', b"", got)
    undone = re.sub(rb"http://127.0.0.1:8025/c/[\w-]{36}/", b"https://", undone)
    undone = undone[undone.index(b"From: ") :]
    original = OFFER.replace(b"X-Indicia-Track: nonsense\n", b"").replace(b"\n", b"\r\n")
    assert undone == original


def test_a_preview_of_mail_that_is_signed_anew_is_signed(
    message: str, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    key = tmp_path / "key.pem"
    subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
    Path(message).write_bytes(b"DKIM-Signature: old\n" + OFFER)
    settings = Settings(
        tracking={"dkim_signed": "resign"},
        dkim=[{"domain": "sender.example", "selector": "s1", "private_key_file": key}],
    )
    supposed = Supposed(message, "ann@sender.example", PEOPLE)
    preview_message(settings, supposed, None, diff=True)
    assert b"-DKIM-Signature: old" in capfdbinary.readouterr().out
    preview_message(settings, supposed, None, diff=False)
    assert capfdbinary.readouterr().out.startswith(b"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed")
    key.unlink()
    with pytest.raises(KeyFileError, match="can not be read"):
        preview_message(settings, supposed, None, diff=False)


def test_a_preview_is_of_the_recipient_asked_for(
    message: str, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    supposed = Supposed(message, "ann@sender.example", PEOPLE)
    tokens = []
    for recipient in (None, *PEOPLE):
        preview_message(Settings(), supposed, recipient, diff=False)
        tokens.append(re.findall(rb"/o/([\w-]{36})", capfdbinary.readouterr().out))
    assert tokens[0] == tokens[1]
    assert len({token for found in tokens for token in found}) == 3
    with pytest.raises(Failure, match="no recipient of this message"):
        preview_message(Settings(), supposed, "other@example.org", diff=False)


def test_a_diff_shows_what_changed(message: str, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    preview_message(Settings(), Supposed(message, "ann@sender.example", PEOPLE), None, diff=True)
    lines = capfdbinary.readouterr().out.splitlines()
    changed = [line for line in lines if line.startswith((b"+", b"-"))]
    assert changed[:2] == [b"--- submitted", b"+++ copy"]
    assert b"-X-Indicia-Track: nonsense" in changed
    removed = [line for line in changed[2:] if line.startswith(b"-")]
    assert len(removed) == 3


@pytest.mark.parametrize(
    ("raw", "reply"),
    [
        (b"Subject: x\r\n\r\na\0b\r\n", "550 5.6.0"),
        (b"Subject: x\r\n\r\na\rb\r\n", "550 5.6.11"),
        (b"Received: x\r\n" * 60 + b"\r\nx\r\n", "554 5.4.6"),
        (b"Subject: x\r\n\r\n" + b"a" * 2000, "552 5.3.4"),
    ],
)
def test_what_would_be_refused_is_told_with_its_reply(
    tmp_path: Path, raw: bytes, reply: str
) -> None:
    file = tmp_path / "bad.eml"
    file.write_bytes(raw)
    settings = Settings(relay={"max_message_bytes": 1500})
    supposed = Supposed(str(file), "ann@sender.example", PEOPLE)
    with pytest.raises(Failure, match=f"the message would be refused: {reply}") as told:
        explain_message(settings, supposed, as_json=True)
    assert told.value.status == 1


def test_a_wrong_address_is_usage_and_a_missing_file_is_not_found(message: str) -> None:
    with pytest.raises(Failure, match="is not a mail address") as told:
        explain_message(Settings(), Supposed(message, "ann", PEOPLE), as_json=True)
    assert told.value.status == 2
    with pytest.raises(Failure, match="can not be read") as told:
        explain_message(Settings(), Supposed("none.eml", "", PEOPLE), as_json=True)
    assert told.value.status == 1


def test_the_command_needs_no_record_and_makes_none(indicia: Run, tmp_path: Path) -> None:
    words = ("-", "--from", "ann@sender.example", "--to", "tom@example.org", "--bcc", PEOPLE[2])
    done = indicia("explain", *words, "--json", given=OFFER)
    assert (done.returncode, done.stderr) == (0, b"")
    assert [json.loads(line)["copy"] for line in done.stdout.splitlines()] == [1, 2]
    previewed = indicia("preview", *words, given=OFFER)
    assert previewed.stdout.count(b"\r\n") == previewed.stdout.count(b"\n")
    assert list(tmp_path.iterdir()) == []
    none = indicia("explain", "-", "--from", "ann@sender.example", given=OFFER)
    assert none.returncode == 2


def test_a_fault_of_ours_is_shown_as_the_relay_would_take_it(
    message: str, capsys: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down(*_: object) -> None:
        msg = "words of the mail"
        raise ZeroDivisionError(msg)

    monkeypatch.setattr("relay.intake.judge", break_down)
    supposed = Supposed(message, "ann@sender.example", PEOPLE)
    for one in explained(Settings(), supposed, capsys):
        assert (one["mode"], one["copy"], one["links"]) == ("off", 1, [])
        assert {"of": "mode", "is": "off", "because": "content", "name": "our_fault"} in one[
            "reasons"
        ]  # type: ignore[operator] # it is a list
    explain_message(Settings(), supposed, as_json=False)
    assert "something went wrong on our side" in capsys.readouterr().out
    preview_message(Settings(), supposed, None, diff=True)
    changed = capsys.readouterr().out
    assert "/o/" not in changed
    assert "-X-Indicia-Track: nonsense" in changed


def test_with_observe_on_it_is_told_what_would_have_been_done(message: str, capsys: Read) -> None:
    observing = Settings(tracking={"observe": True})
    supposed = Supposed(message, "ann@sender.example", PEOPLE)
    for one, without in zip(
        explained(observing, supposed, capsys), explained(Settings(), supposed, capsys), strict=True
    ):
        assert (one["mode"], one["copy"]) == ("off", 1)
        assert one["unobserved"] == without
    explain_message(observing, supposed, as_json=False)
    before, told, after = capsys.readouterr().out.partition("Without it, this would happen")
    assert told
    assert not re.search("tom@example.org +to +individual", before)
    assert re.search("tom@example.org +to +individual", after)
