from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.gateway import domain_of, gateway_of


@pytest.mark.parametrize(
    ("hosts", "gateway"),
    [
        (["mxa-00001.gslb.pphosted.com."], "proofpoint"),
        (["eu-smtp-inbound-1.mimecast.com."], "mimecast"),
        (["d1.a.ess.barracudanetworks.com."], "barracuda"),
        (["example-org.mail.protection.outlook.com."], "microsoft"),
        (["ESA.HC1.IPHMX.COM"], "cisco"),
        (["mx.example.org.", "x.mimecast.com.", "y.pphosted.com."], "mimecast"),
        (["mimecast.com."], ""),  # no host of theirs is so called
        (["notmimecast.com."], ""),
        (["mimecast.com.example.org."], ""),
        (["."], ""),  # RFC 7505: no mail at all
        ([], ""),
    ],
)
def test_a_gateway_is_known_by_the_end_of_its_hosts(hosts: Sequence[str], gateway: str) -> None:
    assert gateway_of(hosts) == gateway


@pytest.mark.parametrize(
    ("address", "domain"),
    [
        ("anna@Example.ORG", "example.org"),
        ('"a@b"@example.org.', "example.org"),
        ("anna@[192.0.2.1]", ""),
        ("anna@localhost", ""),
        ("postmaster", ""),
        ("", ""),
    ],
)
def test_a_domain_is_asked_for_where_there_is_one(address: str, domain: str) -> None:
    assert domain_of(address) == domain


@given(st.text(max_size=20), st.sampled_from(["example.org", "a.b.c.example"]))
def test_what_is_before_the_last_at_is_never_asked_for(local: str, domain: str) -> None:
    assert domain_of(f"{local}@{domain}") == domain
