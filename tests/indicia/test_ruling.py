"""`indicia policy`, and what `explain` makes of it, over real files."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from indicia.main import app

Done = tuple[int, str, str]
Call = Callable[..., Done]
MAIL = b"From: a@x.example\nTo: b@y.example\nContent-Type: text/html\n\n<p>Hello</p>\n"
RULES = """
[[rule]]
name = "public sector"
recipient = "*@gov.example"
mode = "anonymous"
clicks = false
"""


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Call a command in the folder of the test; give status, output and what is told beside."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mail.eml").write_bytes(MAIL)

    def invoke(*words: str) -> Done:
        done = CliRunner().invoke(app, words)
        error = done.exception
        if error is not None and not isinstance(error, SystemExit):
            return getattr(error, "status", -1), done.stdout, f"{done.stderr}{error}"
        return done.exit_code, done.stdout, done.stderr

    return invoke


def shown(call: Call, *words: str) -> dict[str, object]:
    status, out, error = call("policy", "show", "--json", *words)
    assert (status, error) == (0, "")
    told = json.loads(out)
    assert isinstance(told, dict)
    return told


def explained(call: Call, to: str = "b@y.example") -> tuple[object, object]:
    out = call("explain", "mail.eml", "--from", "a@x.example", "--to", to, "--json")[1]
    told = json.loads(out)
    return told["mode"], told["reasons"][0]


def test_the_switch_is_told_with_who_threw_it(call: Call) -> None:
    assert shown(call)["tracking"] is True
    assert call("policy", "off", "--reason", "an incident")[0] == 0
    assert shown(call)["tracking"] is False
    assert "OFF for everybody" in call("policy", "show")[1]
    off = {"of": "mode", "is": "off", "because": "ceiling", "name": "policy off"}
    assert explained(call) == ("off", off)
    row = json.loads(call("audit", "list", "--json")[1].splitlines()[-1])
    assert row["action"] == "policy.switched"
    assert row["actor"] == "operator"
    assert row["detail"] == {"tracking": False}
    assert call("policy", "on")[0] == 0
    assert shown(call)["tracking"] is True
    assert explained(call)[0] == "individual"


def test_rules_are_told_with_where_they_are_kept(call: Call, tmp_path: Path) -> None:
    (tmp_path / "indicia.toml").write_text(RULES, encoding="utf-8")
    (rule,) = shown(call)["rules"]  # type: ignore[misc] # JSON
    assert rule["name"] == "public sector"
    assert rule["kept_in"] == "configuration"
    told = call("policy", "show")[1]
    assert "recipient *@gov.example  mode anonymous, no clicks" in told
    out = call("policy", "show", "--from", "a@x.example", "--to", "c@gov.example")[1]
    assert out.splitlines() == [
        "an ordinary mail from a@x.example to c@gov.example",
        "  mode    anonymous  because of rule     public sector",
        "  opens   true       because of ceiling  tracking.opens",
        "  clicks  none       because of rule     public sector",
    ]


def test_a_pair_is_judged_as_a_mail_is(call: Call) -> None:
    assert call("consent", "set", "y.example", "denied")[0] == 0
    told = shown(call, "--from", "", "--to", "b@y.example")
    assert told["mode"] == "off"
    denied = {"of": "mode", "is": "off", "because": "consent", "name": "denied"}
    assert told["reasons"][0] == denied  # type: ignore[index] # JSON
    assert explained(call) == ("off", denied)
    assert call("consent", "set", "y.example", "unknown")[0] == 0
    assert explained(call)[0] == "individual"


def test_half_a_pair_and_what_is_no_address_are_usage_errors(call: Call) -> None:
    assert call("policy", "show", "--to", "b@y.example")[0] == 2
    assert call("policy", "show", "--from", "a", "--to", "b@y.example")[0] == 2
