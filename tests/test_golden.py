"""Whole messages, byte for byte: each folder of tests/golden is one case.

`message.eml` is what was submitted, `expected.eml` the copy of the first recipient, `case.toml`
what is not in the message and what becomes of links and parts, and README.md says what is shown
and whence the mail comes.  Cases that show a reason bear its name.  After a review
`INDICIA_ACCEPT_GOLDEN=1 pytest tests/test_golden.py` writes expected.eml anew.
"""

import base64
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from ledger.address import parse_address
from ledger.mode import TrackingMode
from ledger.token import TokenKey
from relay.compile import compile_template
from relay.judge import judge
from relay.mail import Client, Envelope, Signing, Submission
from relay.mime.entity import parse_entity
from relay.policy import Policy
from relay.sign import Seal
from relay.split import split_copies
from relay.stamp import stamp_copy
from relay.template import Template
from relay.verdict import Accept

pytestmark = pytest.mark.golden

_GOLDEN = Path(__file__).parent / "golden"
_CASES = sorted(path.parent for path in _GOLDEN.glob("*/case.toml"))
_KEY = TokenKey(1, bytes(range(32)))
_FIRST_COPY_ID = 1000
_SIGNING_KEY = load_pem_private_key((_GOLDEN / "dkim.pem").read_bytes(), None)
_POLICY = Policy(
    "relay.example.com", "https://t.example.com", unknown_consent=TrackingMode.INDIVIDUAL
)


@pytest.mark.parametrize("folder", _CASES, ids=lambda folder: folder.name)
def test_the_copy_is_as_reviewed(folder: Path) -> None:
    case = tomllib.loads((folder / "case.toml").read_text("utf-8"))
    template, copy = _first_copy((folder / "message.eml").read_bytes(), case)
    expected = folder / "expected.eml"
    if os.environ.get("INDICIA_ACCEPT_GOLDEN"):
        expected.write_bytes(copy)
    assert copy == expected.read_bytes()
    assert (str(template.passed.reason) if template.passed else "") == case.get("passed", "")
    assert [link.url for link in template.links] == case.get("links", [])
    left = [[link.url, str(link.reason.reason)] for link in template.left]
    assert left == case.get("left", [])
    if "parts" in case:
        parts = {
            part.part: str(part.reason.reason) if part.reason else "" for part in template.parts
        }
        assert parts == case["parts"]


def test_a_copy_that_is_signed_anew_verifies() -> None:
    public = _SIGNING_KEY.public_key()
    spki = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    record = b"v=DKIM1; p=" + base64.b64encode(spki)
    message = (_GOLDEN / "dkim-resigned" / "expected.eml").read_bytes()
    assert dkim.verify(message, dnsfunc=lambda *_args, **_named: record)


def test_each_case_says_what_it_shows() -> None:
    assert len(_CASES) >= 60
    for folder in _CASES:
        text = (folder / "README.md").read_text("utf-8")
        assert text.startswith("# ")
        assert "Origin:" in text, folder.name
        assert re.search(rb"(?<!\r)\n", (folder / "message.eml").read_bytes()) is None, folder.name


def _first_copy(raw: bytes, case: Mapping[str, Any]) -> tuple[Template, bytes]:
    options = {key: _option(key, value) for key, value in case.get("policy", {}).items()}
    policy = replace(_POLICY, **options)
    submission = Submission(
        "01ARZ3NDEKTSV4RRFFQ69G5FAV",
        Envelope(
            parse_address(case["sender"]) if case["sender"] else None,
            tuple(map(parse_address, case["recipients"])),
        ),
        raw,
        datetime(2026, 11, 23, 12, tzinfo=UTC),
        Client("192.0.2.1", "pc.example.com"),
    )
    entity = parse_entity(raw)
    verdict = judge(submission, entity, policy)
    assert isinstance(verdict, Accept)
    template = compile_template(submission, entity, verdict, policy)
    copy = split_copies(submission.send_id, verdict, template, _KEY.key_id, count(_FIRST_COPY_ID))[
        0
    ]
    signing = template.signing
    seal = None if signing is None else Seal(signing, submission.received_at, _sign)
    return template, re.sub(rb"(?m)^\.", b"", stamp_copy(template, copy, _KEY, seal))


def _sign(text: bytes) -> bytes:
    assert isinstance(_SIGNING_KEY, RSAPrivateKey)
    return _SIGNING_KEY.sign(text, PKCS1v15(), SHA256())


def _option(key: str, value: Any) -> Any:
    if key == "mode":
        return TrackingMode(value)
    if key == "signings":
        return tuple(Signing(*pair) for pair in value)
    return tuple(value) if isinstance(value, list) else value
