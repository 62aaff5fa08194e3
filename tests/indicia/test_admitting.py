"""`indicia user`, `token` and `signin`, over real files."""

import json
from collections.abc import Callable
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from typer.testing import CliRunner

from indicia.main import app

Done = tuple[int, str, str]
Call = Callable[..., Done]
GOOD = "correct horse battery"


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Call a command in the folder of the test; give status, output and what is told beside."""
    monkeypatch.chdir(tmp_path)

    def invoke(*words: str, given: str = "") -> Done:
        done = CliRunner().invoke(app, words, input=given)
        error = done.exception
        if error is not None and not isinstance(error, SystemExit):
            return getattr(error, "status", -1), done.stdout, f"{done.stderr}{error}"
        return done.exit_code, done.stdout, done.stderr

    return invoke


def add(call: Call, address: str, role: str = "user", *more: str) -> Done:
    return call("user", "add", address, "--role", role, *more, "--password-stdin", given=GOOD)


def listed(call: Call) -> list[dict[str, object]]:
    return [json.loads(line) for line in call("user", "list", "--json")[1].splitlines()]


def test_an_account_is_added_changed_and_listed(call: Call) -> None:
    patterns = ("--send-as", "*@team.example", "--send-as", "sales@example.com")
    assert add(call, "Anna@example.com", "admin", *patterns) == (
        0,
        "Anna@example.com: added as admin\n",
        "",
    )
    anna = {
        "address": "Anna@example.com",
        "role": "admin",
        "send_as": ["*@team.example", "sales@example.com"],
        "password": True,
        "disabled": False,
    }
    assert listed(call) == [anna]
    assert call("user", "disable", "anna@example.com")[0] == 0
    assert call("user", "change", "anna@example.com", "--role", "auditor", "--send-as", "")[0] == 0
    assert listed(call) == [anna | {"role": "auditor", "send_as": [], "disabled": True}]
    assert call("user", "enable", "anna@example.com")[0] == 0
    told = call("user", "list")[1]
    assert told == "Anna@example.com  auditor  enabled  password\n"


def test_the_list_of_nobody_says_how_to_begin(call: Call) -> None:
    assert "indicia user add" in call("user", "list")[1]
    assert "indicia token create" in call("token", "list")[1]
    assert call("user", "list", "--json") == call("token", "list", "--json") == (0, "", "")


def test_a_password_is_changed_and_none_is_none(call: Call) -> None:
    assert call("user", "add", "bob@example.com", "--role", "user")[0] == 0
    assert [one["password"] for one in listed(call)] == [False]
    status, told, _ = call("user", "passwd", "bob@example.com", "--password-stdin", given=GOOD)
    assert (status, told) == (0, "bob@example.com: password changed, sessions ended\n")
    assert [one["password"] for one in listed(call)] == [True]


@pytest.mark.parametrize(
    ("words", "given", "status", "why"),
    [
        (("add", "anna", "--role", "user"), "", 2, "there is no @"),
        (("add", "a@b.example", "--role", "boss"), "", 2, "boss"),
        (("add", "a@b.example"), "", 2, "--role"),
        (("add", "a@b.example", "--role", "user", "--password-stdin"), "", 2, "fewer than 8"),
        (("add", "a@b.example", "--role", "user", "--password-stdin"), "short\n", 2, "fewer"),
        (("add", "a@b.example", "--role", "user", "--send-as", "a b"), "", 2, "no pattern"),
        (("add", "ann@example.com", "--role", "user"), "", 1, "has an account already"),
        (("passwd", "ann@example.com"), GOOD, 2, "write --password-stdin"),
        (("passwd", "bob@example.com", "--password-stdin"), GOOD, 1, "has no account"),
        (("disable", "bob@example.com"), "", 1, "indicia user list"),
        (("enable", "bob@example.com"), "", 1, "has no account"),
        (("change", "bob@example.com", "--role", "user"), "", 1, "has no account"),
        (("change", "bob@example.com", "--send-as", "*"), "", 1, "has no account"),
        (("change", "ann@example.com"), "", 2, "nothing to change"),
    ],
)
def test_what_does_not_hold_is_told_with_its_mend(
    call: Call, words: tuple[str, ...], given: str, status: int, why: str
) -> None:
    call("user", "add", "ann@example.com", "--role", "user")
    found, _, told = call("user", *words, given=given)
    assert (found, why in told) == (status, True), told
    assert len(listed(call)) == 1


def test_an_odd_address_is_taken_with_a_warning(call: Call) -> None:
    status, _, told = call("user", "add", "anna@localhost", "--role", "user")
    assert status == 0
    assert "warning: anna@localhost" in told


def test_a_token_is_told_once_listed_without_secret_and_revoked(call: Call, tmp_path: Path) -> None:
    status, told, _ = call("token", "create", "crm", "--scope", "read", "--json")
    secret = json.loads(told)["token"]
    assert (status, len(secret)) == (0, 43)
    plain = call("token", "create", "other", "--scope", "admin")[1].strip()
    (crm, other) = map(json.loads, call("token", "list", "--json")[1].splitlines())
    assert (crm["name"], crm["scope"], other["scope"]) == ("crm", "read", "admin")
    assert call("token", "create", "crm", "--scope", "read")[0] == 1
    assert call("token", "create", "a\nb", "--scope", "read")[0] == 2
    assert call("token", "revoke", "crm")[0] == 0
    assert call("token", "revoke", "crm")[0] == 1
    assert "crm" not in call("token", "list")[1]
    raw = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    assert secret.encode() not in raw
    assert plain.encode() not in raw


def test_a_link_signs_in_the_operator_or_who_has_an_account(call: Call) -> None:
    assert call("signin")[1].startswith("http://127.0.0.1:8026/login?code=")
    add(call, "anna@example.com")
    assert call("signin", "anna@example.com")[0] == 0
    call("user", "disable", "anna@example.com")
    assert call("signin", "anna@example.com")[2].startswith("anna@example.com is disabled")
    assert call("signin", "bob@example.com")[0] == 1


@pytest.mark.usefixtures("call")
def test_the_password_on_standard_input_must_be_utf8() -> None:
    done = CliRunner().invoke(
        app, ["user", "add", "a@b.example", "--role", "user", "--password-stdin"], input=b"\xff" * 9
    )
    assert "not UTF-8" in str(done.exception)


@pytest.mark.slow
def test_people_are_let_in_and_shut_out_while_the_console_runs(
    serving: Callable[..., Any], indicia: Callable[..., Any]
) -> None:
    port = serving().ports["console"]
    words = ("user", "add", "anna@example.com", "--role", "admin", "--password-stdin")
    assert indicia(*words, given=f"{GOOD}\n".encode()).returncode == 0

    def sign_in() -> tuple[int, str]:
        form = urlencode({"address": "anna@example.com", "password": GOOD})
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        status, cookie = ask(port, "POST", "/login", kind, form)
        return status, cookie.partition(";")[0]

    status, cookie = sign_in()
    assert status == 303
    assert ask(port, "GET", "/people", {"Cookie": cookie})[0] == 200
    assert indicia("user", "disable", "anna@example.com").returncode == 0
    assert ask(port, "GET", "/people", {"Cookie": cookie})[0] == 303
    assert sign_in()[0] == 403
    link = indicia("signin").stdout.decode().strip()
    assert ask(port, "GET", f"/login?code={link.partition('code=')[2]}", {})[0] == 200
    assert indicia("audit", "verify").returncode == 0


def ask(
    port: int, method: str, path: str, headers: dict[str, str], body: str = ""
) -> tuple[int, str]:
    """Return the status, and the session cookie where one is set."""
    with closing(HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        connection.request(method, path, body or None, headers)
        response = connection.getresponse()
        response.read()
        cookies = response.headers.get_all("Set-Cookie") or []
        return response.status, next((one for one in cookies if one.startswith("indicia=")), "")
