"""The table of a webhook: what it may say, and what is refused with which mend."""

from pathlib import Path

import pytest

from config.faults import ConfigError
from config.load import load_settings
from config.settings import Settings
from config.webhook import decode_secret
from ledger.event import EventType

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
GOOD = f"url = 'https://hooks.example.com/x'\nsecret = '{SECRET}'"


def read(tmp_path: Path, *tables: str) -> Settings:
    file = tmp_path / "indicia.toml"
    file.write_text("".join(f"[[webhook]]\n{table}\n" for table in tables))
    return load_settings(file, {})


def told(tmp_path: Path, *tables: str) -> str:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, *tables)
    (fault,) = caught.value.faults
    return str(fault)


def test_a_webhook_has_url_and_secret_and_is_told_everything(tmp_path: Path) -> None:
    (webhook,) = read(tmp_path, GOOD).webhook
    assert webhook.url == "https://hooks.example.com/x"
    assert webhook.shown == "https://hooks.example.com"
    assert webhook.events == ()
    assert not webhook.allow_private
    assert len(webhook.keys) == 1
    assert SECRET not in repr(webhook)


def test_events_are_named_by_their_types(tmp_path: Path) -> None:
    (webhook,) = read(tmp_path, f"{GOOD}\nevents = ['email.opened', 'event.reclassified']").webhook
    assert webhook.events == (EventType.OPENED, EventType.RECLASSIFIED)


def test_the_environment_says_it_too(tmp_path: Path) -> None:
    said = {
        "INDICIA_WEBHOOK__0__URL": "https://hooks.example.com/x",
        "INDICIA_WEBHOOK__0__SECRET": SECRET,
        "INDICIA_WEBHOOK__0__EVENTS": "email.opened,email.clicked",
        "INDICIA_WEBHOOK__0__ALLOW_PRIVATE": "true",
    }
    (webhook,) = load_settings(None, said).webhook
    assert webhook.events == (EventType.OPENED, EventType.CLICKED)
    assert webhook.allow_private
    assert str(tmp_path) not in webhook.url


def test_two_secrets_sign_while_a_receiver_goes_over(tmp_path: Path) -> None:
    other = f"whsec_{'A' * 32}"
    (webhook,) = read(tmp_path, GOOD.replace(SECRET, f"{other} {SECRET}")).webhook
    assert webhook.keys == (bytes(24), decode_secret(SECRET))


URLS = [
    ("ftp://example.com/", "is no https URL"),
    ("https:///x", "is no https URL"),
    ("https://example.com:99999/", "is no URL"),
    ("https://[::1/", "is no URL"),
    ("https://user:word@example.com/", "has a name or password in it"),
    ("https://example.com@127.0.0.1/", "has a name or password in it"),
    ("https://example.com/#x", "has a fragment"),
    ("https://example.com/a b", "has characters that no URL has"),
    ("https://exämple.com/", "has characters that no URL has"),
    ("https://example.com\\@x/", "has characters that no URL has"),
    ("http://example.com/", "is not https"),
    ("https://127.0.0.1/", "is on no public address"),
    ("https://localhost/", "is on no public address"),
    ("https://[::ffff:127.0.0.1]/", "is on no public address"),
    ("https://[fd00::1]:8443/", "is on no public address"),
    ("https://169.254.169.254/latest", "is on no public address"),
]


@pytest.mark.parametrize(("url", "why"), URLS)
def test_a_url_that_leads_nowhere_or_inside_is_refused(tmp_path: Path, url: str, why: str) -> None:
    said = told(tmp_path, f"url = '{url}'\nsecret = '{SECRET}'")
    assert said.startswith(f"webhook[0].url, line 2: {why}")
    assert "; " in said


@pytest.mark.parametrize("url", [url for url, why in URLS if why.startswith(("is not", "is on"))])
def test_a_private_one_is_taken_where_it_is_meant(tmp_path: Path, url: str) -> None:
    table = f"url = '{url}'\nsecret = '{SECRET}'\nallow_private = true"
    assert read(tmp_path, table).webhook[0].url == url


SECRETS = [
    ("hello", "is not whsec_ and base64 behind it"),
    ("whsec_???", "is not whsec_ and base64 behind it"),
    ("whsec_", "has 0 bytes, not 24 to 64"),
    ("whsec_c2hvcnQ=", "has 5 bytes, not 24 to 64"),
    (f"whsec_{'A' * 88}", "has 66 bytes, not 24 to 64"),
    (f"{SECRET} ", "is not whsec_ and base64 behind it"),
]


@pytest.mark.parametrize(("secret", "why"), SECRETS)
def test_a_secret_that_is_none_is_refused_and_not_told(
    tmp_path: Path, secret: str, why: str
) -> None:
    said = told(tmp_path, GOOD.replace(SECRET, secret))
    assert said == (
        f"webhook[0].secret, line 3: {why}; write whsec_ and what `openssl rand -base64 32` prints"
    )


def test_a_type_that_is_none_is_refused_with_those_there_are(tmp_path: Path) -> None:
    said = told(tmp_path, f"{GOOD}\nevents = ['email.open']")
    assert said.startswith("webhook[0].events[0], line 4: is no type of event; write one of ")
    assert all(f'"{one}"' in said for one in EventType)


def test_the_same_url_twice_is_refused(tmp_path: Path) -> None:
    assert told(tmp_path, GOOD, GOOD) == (
        "webhook[1].url, line 5: is the URL of webhook[0] too; write all its events in one table"
    )
