import json
from collections.abc import Callable
from datetime import UTC, datetime
from email.message import EmailMessage

import pytest

from config.settings import Settings
from indicia.failure import Failure
from indicia.sample import BCC, Occasion, envelope_recipients, sample_mail
from indicia.sampling import send_sample

OCCASION = Occasion("1@x.example", datetime(2026, 11, 23, tzinfo=UTC), "http://127.0.0.1:8026")


def body_of(mail: EmailMessage, kind: str) -> str:
    part = mail.get_body((kind,))
    assert isinstance(part, EmailMessage)
    return str(part.get_content())


def test_the_sample_names_no_bcc_and_has_links_that_need_no_internet() -> None:
    mail = sample_mail(OCCASION)
    assert "Bcc" not in mail
    assert BCC[1] not in mail.as_string()
    assert BCC[1] in envelope_recipients()
    for kind in ("plain", "html"):
        assert "http://127.0.0.1:8026/?sample=dates" in body_of(mail, kind)
        assert "https://example.com/offers/quay-7?version=3" in body_of(mail, kind)
    assert "\n-- \n" in body_of(mail, "plain")


def test_where_no_relay_answers_it_says_what_to_start() -> None:
    settings = Settings(relay={"listen": ["127.0.0.1:1"]})
    told = "no relay answers at 127.0.0.1:1 .*; start it: indicia serve"
    with pytest.raises(Failure, match=told):
        send_sample(settings, as_json=False)


def test_the_sample_never_goes_to_an_upstream() -> None:
    settings = Settings(upstream=[{"host": "smtp.example.net"}])
    with pytest.raises(Failure, match="goes to default; the sample is for the sandbox only"):
        send_sample(settings, as_json=False)


def test_what_the_relay_answers_is_told(
    answering: Callable[[str], int], capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings(relay={"listen": [f"0.0.0.0:{answering('451 4.3.0 later')}"]})
    with pytest.raises(Failure, match=r"did not take the mail: .*4\.3\.0 later"):
        send_sample(settings, as_json=False)
    assert capsys.readouterr().out == ""


def test_what_was_sent_is_told(
    answering: Callable[[str], int], capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings(relay={"listen": [f"127.0.0.1:{answering('250 2.0.0 OK')}"]})
    send_sample(settings, as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert told["captured"] == "http://127.0.0.1:8026/captured"
    assert told["recipients"] == list(envelope_recipients())
    send_sample(settings, as_json=False)
    told = capsys.readouterr().out
    assert "Bcc  Bea Holm <bea.holm@nordlicht.example>" in told
    assert "http://127.0.0.1:8026/captured" in told
