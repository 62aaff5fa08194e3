from config.settings import Settings
from ledger.mode import TrackingMode
from relay.configured import policy_of, upstreams_of
from relay.mail import Signing
from relay.policy import Policy, Rule, TrackingHost
from relay.upstream import TlsMode, Upstream

HERE = {"base_url": "https://t.example", "unknown_consent": "off"}


def test_the_defaults_of_the_configuration_are_those_of_the_policy() -> None:
    settings = Settings(tracking={**HERE, "unknown_consent": "anonymous"})
    assert policy_of(settings) == Policy("localhost", "https://t.example")


def test_every_option_reaches_the_policy() -> None:
    settings = Settings(
        server={"hostname": "relay.example"},
        tracking={
            **HERE,
            "mode": "shared",
            "opens": False,
            "clicks": "seats",
            "seats": ["a@x.example"],
            "max_copies": 1,
            "observe": True,
            "internal_domains": ["x.example"],
            "excluded_hosts": ["y.example"],
            "skip_url_text": False,
            "max_url_length": 5,
            "pixel_position": "top",
            "dkim_signed": "track",
        },
        rule=[{"name": "r", "sender": "a", "account": "b", "recipient": "c", "clicks": False}],
        tracking_host=[{"senders": ["*@x.example"], "base_url": "https://t.x.example"}],
    )
    assert policy_of(settings) == Policy(
        hostname="relay.example",
        base_url="https://t.example",
        mode=TrackingMode.SHARED,
        opens=False,
        seats=("a@x.example",),
        max_copies=1,
        unknown_consent=TrackingMode.OFF,
        observe=True,
        internal_domains=("x.example",),
        excluded_hosts=("y.example",),
        skip_url_text=False,
        max_url_length=5,
        pixel_at_top=True,
        track_dkim_signed=True,
        rules=(Rule("r", "a", "b", "c", clicks=False),),
        tracking_hosts=(TrackingHost(("*@x.example",), "https://t.x.example"),),
    )


def test_keys_sign_where_mail_is_to_be_signed_anew() -> None:
    table = {"domain": "Bücher.example", "selector": "s1", "private_key_file": "k.pem"}
    for dkim_signed, signings in (
        ("resign", (Signing("xn--bcher-kva.example", "s1"),)), ("skip", ()), ("track", ()),
    ):  # fmt: skip
        settings = Settings(tracking={**HERE, "dkim_signed": dkim_signed}, dkim=[table])
        policy = policy_of(settings)
        assert policy.signings == signings
        assert policy.track_dkim_signed is (dkim_signed == "track")


def test_without_a_seat_nobody_has_click_tracking() -> None:
    policy = policy_of(Settings(tracking={**HERE, "clicks": "seats"}))
    assert (policy.clicks, policy.seats) == (False, ())


def test_an_upstream_is_what_the_file_says() -> None:
    settings = Settings(
        upstream=[
            {"host": "a.example", "username": "me", "password_file": "p", "max_connections": 3},
            {"name": "b", "host": "b.example", "auth": "none", "username": "me", "tls": "implicit"},
        ]
    )
    first, second = upstreams_of(settings)
    assert (first.username, str(first.password_file), first.max_connections) == ("me", "p", 3)
    assert second == Upstream("b", "b.example", tls=TlsMode.IMPLICIT)
