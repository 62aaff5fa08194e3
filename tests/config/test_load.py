"""The table of wrong configurations, with the words people get."""

from pathlib import Path

import pytest

from config.faults import ConfigError
from config.load import find_file, load_settings
from config.settings import Settings
from ledger.mode import TrackingMode

HOST = '[[upstream]]\nhost = "smtp.example.net"\n'
DKIM = "[[dkim]]\ndomain = 'a.example'\nselector = 's1'\nprivate_key_file = 'k.pem'\n"
PEOPLE = "[relay.auth]\nmode = 'upstream'\n[relay.tls]\ncertificate = 'c'\nprivate_key = 'k'"
ELSEWHERE = '[tracking]\nbase_url = "https://t.example.com"\n'

WRONG = [
    ("[server]\nhostnme = 'x'", "server.hostnme, line 2: is unknown; did you mean hostname?"),
    ("[trackin]\n", "trackin, line 1: is unknown; did you mean tracking?"),
    (
        "[relay]\nmax_copies = 5",
        "relay.max_copies, line 2: is unknown; it belongs to [tracking]",
    ),
    (
        "colour = 1",
        "colour, line 1: is unknown; remove it; docs/configuration.md has every key",
    ),
    (
        "[tracking]\n\nmax_copies = 'many'",
        "tracking.max_copies, line 3: is not a number; write 50",
    ),
    (
        "[tracking]\nmax_copies = '70'",
        "tracking.max_copies, line 2: is not a number; write 70 without quotes",
    ),
    (
        "[tracking]\nmax_copies = true",
        "tracking.max_copies, line 2: is not a number; write 50",
    ),
    (
        "[tracking]\nmax_copies = -1",
        "tracking.max_copies, line 2: is below 0; write 0 or more",
    ),
    (
        "[retry]\nfirst_after_s = '2 min'",
        "retry.first_after_s, line 2: is not a number; write 120, in seconds",
    ),
    (
        "[retry]\nfirst_after_s = '2 moons'",
        "retry.first_after_s, line 2: is not a number; write 60, in seconds",
    ),
    (
        "[relay]\nmax_message_bytes = '25MB'",
        "relay.max_message_bytes, line 2: is not a number; write 26214400, in bytes",
    ),
    (
        "[tracking]\nopens = 'yes'",
        "tracking.opens, line 2: is not true or false; write true without quotes",
    ),
    (
        "[tracking]\nclicks = 'some'",
        'tracking.clicks, line 2: is none of true, false and "seats"; write true',
    ),
    (
        "[tracking]\nmode = 'Induvidual'",
        (
            'tracking.mode, line 2: is none of "off", "anonymous", "shared", "individual"; '
            'write "individual"'
        ),
    ),
    (
        "[relay]\nbare_lf = 'keep'",
        'relay.bare_lf, line 2: is none of "normalize", "refuse"; write "normalize"',
    ),
    ("[server]\nhostname = 5", 'server.hostname, line 2: is not a text; write "5"'),
    ("[server]\nhostname = []", "server.hostname, line 2: is not a text; write one text"),
    ("[server]\nstate_dir = 5", 'server.state_dir, line 2: is not a text; write "5"'),
    (
        "[server]\nhostname = 'a b'",
        (
            "server.hostname, line 2: is no host name or IP address; write a name such as "
            '"smtp.example.net"'
        ),
    ),
    ("[relay]\nlisten = []", 'relay.listen, line 2: is empty; write ["127.0.0.1:2525"]'),
    (
        "[relay]\nlisten = '127.0.0.1:25'",
        'relay.listen, line 2: is not a list; write ["127.0.0.1:25"]',
    ),
    ("[relay]\nlisten = 25", "relay.listen, line 2: is not a list; write […]"),
    (
        "[relay]\nlisten = [\n '[::1]:25',\n 'here',\n]",
        (
            'relay.listen[1], line 4: is no address and port; write "ADDRESS:PORT", such as '
            '"127.0.0.1:2525" or "[::1]:2525"'
        ),
    ),
    (
        "[relay]\nlisten = ['here']",
        (
            'relay.listen[0], line 2: is no address and port; write "ADDRESS:PORT", such as '
            '"127.0.0.1:2525" or "[::1]:2525"'
        ),
    ),
    (
        "[relay]\ntrusted_networks = ['10.0.0.1/8']",
        'relay.trusted_networks[0], line 2: has bits set behind its prefix; write "10.0.0.0/8"',
    ),
    ("server = 5", "server, line 1: is not a table; write [server] and its keys below"),
    ("relay = 5", "relay, line 1: is not a table; write [relay] and its keys below"),
    ("[upstream]\nhost = 'x'", "upstream, line 1: is not a list of tables; write [[upstream]]"),
    (
        "[[upstream]]\nport = 25",
        "upstream[0].host, line 1: is missing; write host = … (host name or IP address)",
    ),
    (
        "upstream = [5]",
        "upstream[0], line 1: is not a table; write [[upstream]] and its keys below",
    ),
    ("[[rule]]\nname = ''", "rule[0].name, line 2: is empty; write a text"),
    (
        f"{HOST}port = 70000",
        "upstream[0].port, line 3: is over 65535; write 65535 or less",
    ),
    (
        f"{HOST}{HOST}",
        "upstream[1].name, line 3: is the name of upstream[0] too; give each its own name",
    ),
    (
        f"{HOST}username = 'x'",
        (
            "upstream[0].username, line 3: has no password_file; write password_file, or empty the "
            "username"
        ),
    ),
    (
        f"{HOST}password_file = 'x'",
        "upstream[0].password_file, line 3: has no username; write username, or remove it",
    ),
    (
        f"{HOST}username = 'x'\npassword_file = 'y'\ntls = 'none'",
        (
            'upstream[0].tls, line 5: would send the password without TLS; write "starttls" or '
            '"implicit"'
        ),
    ),
    (
        "[retry]\nmax_after_s = 30",
        "retry.max_after_s, line 2: is below first_after_s, 60; write 60 or more",
    ),
    (
        "[retry]\ngive_up_after_s = 30\ndelay_notice_after_s = 0",
        (
            "retry.give_up_after_s, line 2: is below first_after_s, 60: nothing is tried twice; "
            "write 60 or more"
        ),
    ),
    (
        "[retry]\ngive_up_after_s = 14400",
        (
            "retry.delay_notice_after_s, line 1: is not below give_up_after_s, 14400: the bounce "
            "comes first; write 0 or a smaller number"
        ),
    ),
    (
        ELSEWHERE,
        (
            "tracking.unknown_consent, line 1: is not said, and recipients elsewhere can reach "
            'base_url; write "off", "anonymous", "shared" or "individual" for those with no '
            "consent "
            "on record"
        ),
    ),
    (
        "[[tracking_host]]\nsenders = ['*']\nbase_url = 'https://t.a.example'",
        (
            "tracking.unknown_consent: is not said, and recipients elsewhere can reach base_url; "
            'write "off", "anonymous", "shared" or "individual" for those with no consent on record'
        ),
    ),
    (
        "[tracking]\nbase_url = 'http://t.example.com'\nunknown_consent = 'off'",
        (
            "tracking.base_url, line 2: is not https, and not on this machine; write "
            '"https://t.example.com"'
        ),
    ),
    (
        (
            f"{ELSEWHERE}unknown_consent = 'off'\n[[tracking_host]]\nsenders = ['*']\n"
            "base_url = 'https://T.example.com/'"
        ),
        (
            "tracking_host[0].base_url, line 6: is the same as tracking.base_url; give it a "
            "base of "
            "its own, or remove the table"
        ),
    ),
    (
        "[tracking]\ndkim_signed = 'resign'",
        (
            'tracking.dkim_signed, line 2: is "resign", and there is no key; write a [[dkim]] with '
            "domain, selector and private_key_file"
        ),
    ),
    (
        f"{DKIM}{DKIM}",
        (
            "dkim[1].selector, line 7: is the selector of dkim[0] too; give each key a selector of "
            "its own"
        ),
    ),
    (
        f"{DKIM}domain = '*.a.example'".replace("domain = 'a.example'\n", ""),
        (
            "dkim[0].domain, line 4: is no single domain; write each domain of From with a key of "
            "its own"
        ),
    ),
    (
        f"{DKIM}selector = 'a b'".replace("selector = 's1'\n", ""),
        'dkim[0].selector, line 4: is no selector; write a name such as "relay2026"',
    ),
    (
        "[[dkim]]\ndomain = 'a.example'\nselector = 's1'",
        "dkim[0].private_key_file, line 1: is missing; write private_key_file = … (file)",
    ),
    (
        "[console]\nlisten = ['0.0.0.0:8025']",
        (
            "console.listen[0], line 2: 0.0.0.0:8025 is taken by collector.listen[0]; "
            "choose another "
            "port"
        ),
    ),
    (
        "[database]\nurl = 'sqlite+aiosqlite:////x.db'\nspool_url = 'sqlite+aiosqlite:////x.db'",
        (
            "database.spool_url, line 3: is the same file as url: a purge of the record would hold "
            "up mail; write another file, or remove it"
        ),
    ),
    (
        "[relay.tls]\ncertificate = '/x'",
        "relay.tls.certificate, line 2: has no private_key; write private_key, or remove it",
    ),
    (
        "[relay.tls]\nprivate_key = '/x'",
        "relay.tls.private_key, line 2: has no certificate; write certificate, or remove it",
    ),
    (
        "[relay.tls]\nmode = 'implicit'",
        (
            "relay.tls.mode, line 2: needs a certificate; write certificate and private_key in "
            "[relay.tls]"
        ),
    ),
    (
        "[relay.auth]\nmode = 'users'",
        (
            "relay.auth.mode, line 2: would take passwords without TLS; write certificate and "
            "private_key in [relay.tls]"
        ),
    ),
    (
        "[relay.tls]\ncertificate = '/x'\nprivate_key = '/y'\n[relay.auth]\nmode = 'upstream'",
        ('relay.auth.mode, line 5: has no upstream to ask; write an [[upstream]], or "users"'),
    ),
    (
        f"{HOST}max_messages_per_minute = -1",
        "upstream[0].max_messages_per_minute, line 3: is below 0; write 0 or more",
    ),
    (
        (
            f"{HOST}auth = 'xoauth2'\nusername = 'a'\noauth_client_id = 'c'\n"
            "oauth_client_secret_file = 's'"
        ),
        (
            'upstream[0].auth, line 3: is "xoauth2", and there is no oauth_token_url; write '
            "oauth_token_url"
        ),
    ),
    (
        (
            f"{HOST}auth = 'xoauth2'\nusername = 'a'\noauth_client_id = 'c'\n"
            "oauth_token_url = 'https://t.example/'"
        ),
        (
            "upstream[0].auth, line 3: has neither oauth_client_secret_file nor "
            "oauth_refresh_token_file; write one of them, or both"
        ),
    ),
    (
        (
            f"{HOST}auth = 'xoauth2'\nusername = 'a'\noauth_client_id = 'c'\n"
            "oauth_token_url = 'https://t.example/'\noauth_client_secret_file = 's'\n"
            "password_file = 'p'"
        ),
        'upstream[0].password_file, line 8: is not used by auth = "xoauth2"; remove it',
    ),
    (
        (
            f"{HOST}auth = 'xoauth2'\nusername = 'a'\noauth_client_id = 'c'\n"
            "oauth_token_url = 'https://t.example/'\noauth_client_secret_file = 's'\ntls = 'none'"
        ),
        'upstream[0].tls, line 8: would send the token without TLS; write "starttls" or "implicit"',
    ),
    (
        f"{HOST}oauth_token_url = 'http://t.example/'",
        (
            "upstream[0].oauth_token_url, line 3: would send the secret without TLS; "
            'write "https://t.example/"'
        ),
    ),
    (
        f"{HOST}oauth_token_url = 't.example/token'",
        (
            "upstream[0].oauth_token_url, line 3: is no https URL; write such as "
            '"https://oauth2.googleapis.com/token"'
        ),
    ),
    (
        f"{HOST}oauth_scope = 'x'",
        (
            'upstream[0].oauth_scope, line 3: is not used by auth = "password"; write '
            'auth = "xoauth2", or remove it'
        ),
    ),
    (
        f"{HOST}auth = 'certificate'\nclient_certificate_file = 'c'",
        (
            'upstream[0].auth, line 3: is "certificate", and there is no client_private_key_file; '
            "write client_private_key_file"
        ),
    ),
    (
        (
            f"{HOST}auth = 'certificate'\nclient_certificate_file = 'c'\n"
            "client_private_key_file = 'k'\ntls = 'opportunistic'"
        ),
        (
            "upstream[0].tls, line 6: would show no certificate, for it does not insist on TLS; "
            'write "starttls" or "implicit"'
        ),
    ),
    (
        f"{HOST}client_private_key_file = 'k'",
        (
            'upstream[0].client_private_key_file, line 3: is not used by auth = "password"; write '
            'auth = "certificate", or remove it'
        ),
    ),
    (
        f"{HOST}tls = 'none'\n{PEOPLE}",
        (
            "upstream[0].tls, line 3: would send people's passwords without TLS; "
            'write "starttls" or "implicit"'
        ),
    ),
    (
        f"{HOST}auth = 'none'\n{PEOPLE}",
        (
            'upstream[0].auth, line 3: is not "password", and relay.auth.mode = "upstream" has '
            'people sign in there; write "password"'
        ),
    ),
    (
        "[server\n",
        (
            "line 1, column 8: is not TOML: expected ']' at the end of a table declaration; "
            "mend this line; texts stand in quotes"
        ),
    ),
]

LATER = [
    ("[database]\nurl = 'postgresql+asyncpg://h/d'", "database.url, line 2"),
    (f"{HOST}[privacy]\nretain_content_s = 604800", "privacy.retain_content_s, line 4"),
]


def read(tmp_path: Path, text: str, environ: dict[str, str] | None = None) -> Settings:
    file = tmp_path / "indicia.toml"
    file.write_text(text, encoding="utf-8")
    return load_settings(file, environ or {})


def faults(tmp_path: Path, text: str, environ: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text, environ)
    assert str(caught.value).startswith(f"{tmp_path}/indicia.toml: ")
    return [str(fault) for fault in caught.value.faults]


@pytest.mark.parametrize(("text", "told"), WRONG)
def test_what_is_wrong_is_told_with_key_line_why_and_mend(
    tmp_path: Path, text: str, told: str
) -> None:
    assert faults(tmp_path, text) == [told]


@pytest.mark.parametrize(("text", "place"), LATER)
def test_what_this_version_has_not_is_refused(tmp_path: Path, text: str, place: str) -> None:
    (told,) = faults(tmp_path, text)
    assert told.startswith(f"{place}: ")
    assert "not available in this version" in told


def test_the_defaults_of_what_this_version_has_not_are_taken(tmp_path: Path) -> None:
    text = f"""{HOST}max_messages_per_minute = 0\nsaves_sent = false\nauth = "password"
[tracking]\ntext_clicks = false\ndkim_signed = "skip"\n[relay.auth]\nmode = "none"
[privacy]\nretain_content_s = 0"""
    assert read(tmp_path, text).privacy.retain_content_s == 0


def test_what_is_kept_so_long_is_the_admins_choice(tmp_path: Path) -> None:
    text = "[privacy]\nretain_events_s = 172800\nretain_content_s = 60"
    privacy = read(tmp_path, text).privacy
    assert (privacy.retain_events_s, privacy.retain_content_s) == (172_800, 60)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "[privacy]\nretain_events_s = 5",
            "privacy.retain_events_s, line 2: is less than two days",
        ),
        (
            "[privacy]\nretain_content_s = 0",
            "privacy.retain_content_s, line 2: is 0, and mail would be gone",
        ),
    ],
)
def test_what_would_keep_nothing_to_look_at_is_refused(
    tmp_path: Path, text: str, told: str
) -> None:
    (fault,) = faults(tmp_path, text)
    assert fault.startswith(told)


def test_all_faults_are_told_at_once_contradictions_too(tmp_path: Path) -> None:
    text = """[server]
hostname = 5
[[upstream]]
port = 'x'
username = 'me'
[retry]
first_after_s = 'x'
max_after_s = 5
[console]
listen = ['127.0.0.1:8025']
"""
    told = faults(tmp_path, text)
    assert [line.partition(": ")[0] for line in told] == [
        "server.hostname, line 2",
        "upstream[0].host, line 3",
        "upstream[0].port, line 4",
        "retry.first_after_s, line 7",
        "upstream[0].username, line 5",
        "console.listen[0], line 10",
    ]


def test_an_option_beside_a_faulty_one_is_not_said_to_contradict_it(tmp_path: Path) -> None:
    told = faults(tmp_path, "[retry]\nfirst_after_s = '5s'\nmax_after_s = 10")
    assert told == ["retry.first_after_s, line 2: is not a number; write 5, in seconds"]


def test_the_environment_goes_before_the_file(tmp_path: Path) -> None:
    settings = read(
        tmp_path,
        f"[tracking]\nmax_copies = 5\nopens = true\n{HOST}",
        {
            "INDICIA_CONFIG": "elsewhere",
            "INDICIA_TRACKING__MAX_COPIES": "7",
            "INDICIA_TRACKING__OPENS": "False",
            "INDICIA_TRACKING__CLICKS": "seats",
            "INDICIA_TRACKING__SEATS": "a@x.example, b@x.example",
            "INDICIA_RELAY__LISTEN": '["127.0.0.1:25", "[::1]:25"]',
            "INDICIA_UPSTREAM__0__PORT": "25",
            "INDICIA_UPSTREAM__1__HOST": "two.example",
            "INDICIA_UPSTREAM__1__NAME": "two",
            "INDICIA_COLLECTOR__LISTEN__0": "127.0.0.1:9000",
            "INDICIA_RULE": '[{name = "all", mode = "off"}]',
            "UNRELATED": "x",
        },
    )
    assert settings.tracking.max_copies == 7
    assert settings.tracking.opens is False
    assert settings.tracking.seats == ("a@x.example", "b@x.example")
    assert [str(endpoint) for endpoint in settings.relay.listen] == ["127.0.0.1:25", "[::1]:25"]
    assert [(one.host, one.port) for one in settings.upstream] == [
        ("smtp.example.net", 25),
        ("two.example", 587),
    ]
    assert settings.tracking.base_url == "http://127.0.0.1:9000"
    assert settings.rule[0].mode is TrackingMode.OFF


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        (
            "INDICIA_TRACKING__MAX_COPIES",
            "5x",
            "tracking.max_copies, INDICIA_TRACKING__MAX_COPIES: is not a number; write 50",
        ),
        (
            "INDICIA_FOO",
            "1",
            "foo, INDICIA_FOO: is unknown; remove it; docs/configuration.md has every key",
        ),
        (
            "INDICIA_UPSTREAM__2__HOST",
            "x",
            "INDICIA_UPSTREAM__2__HOST: has no place; count list items from 0 without a gap",
        ),
        (
            "INDICIA_RELAY__LISTEN__1",
            "127.0.0.1:1",
            "INDICIA_RELAY__LISTEN__1: has no place; count list items from 0 without a gap",
        ),
        (
            "INDICIA_SERVER__HOSTNAME__X",
            "x",
            "INDICIA_SERVER__HOSTNAME__X: has no place; count list items from 0 without a gap",
        ),
        (
            "INDICIA_RELAY__LISTEN",
            "[127.0.0.1:1",
            'relay.listen, INDICIA_RELAY__LISTEN: is not a list; write ["[127.0.0.1:1"]',
        ),
        (
            "INDICIA_UPSTREAM",
            "smtp.example.net",
            "upstream, INDICIA_UPSTREAM: is not a list of tables; write [[upstream]]",
        ),
        (
            "INDICIA_TRACKING__OPENS",
            "yes",
            (
                "tracking.opens, INDICIA_TRACKING__OPENS: is not true or false; write true without "
                "quotes"
            ),
        ),
    ],
)
def test_a_fault_of_the_environment_names_the_variable(
    tmp_path: Path, variable: str, value: str, told: str
) -> None:
    assert faults(tmp_path, "[server]\nhostname = 'x'\n", {variable: value}) == [told]


def test_without_a_file_it_is_the_sandbox() -> None:
    settings = load_settings(None, {})
    assert settings.captures
    assert settings.tracking.base_url == "http://127.0.0.1:8025"
    assert settings.tracking.unknown_consent is TrackingMode.INDIVIDUAL
    assert settings.keys_dir == Path("var/keys")
    assert settings.database.spool_url == "sqlite+aiosqlite:///var/spool.db"
    assert settings.privacy.retain_content_s == 604_800
    with pytest.raises(ConfigError, match=r"^environment: foo, INDICIA_FOO: is unknown"):
        load_settings(None, {"INDICIA_FOO": "1"})


def test_relative_paths_of_a_file_are_from_its_folder(tmp_path: Path) -> None:
    settings = read(
        tmp_path,
        "[server]\nstate_dir = 'state'\n[database]\nurl = 'sqlite+aiosqlite:///l.db'\n"
        f"{DKIM}{HOST}username = 'x'\npassword_file = 'p'\n[collector]\nranges_dir = 'r'",
    )
    assert settings.collector.ranges_dir == tmp_path / "r"
    assert settings.dkim[0].private_key_file == tmp_path / "k.pem"
    assert settings.server.state_dir == tmp_path / "state"
    assert settings.upstream[0].password_file == tmp_path / "p"
    assert settings.database.url == f"sqlite+aiosqlite:///{tmp_path}/l.db"
    assert settings.database.spool_url == f"sqlite+aiosqlite:///{tmp_path}/state/spool.db"
    assert settings.privacy.retain_content_s == 0


def test_what_the_environment_says_stays_as_it_is_said(tmp_path: Path) -> None:
    settings = read(tmp_path, HOST, {"INDICIA_SERVER__STATE_DIR": "here"})
    assert settings.server.state_dir == Path("here")


def test_the_file_is_searched_in_the_order_of_the_contract(tmp_path: Path) -> None:
    given, named = Path("given.toml"), {"INDICIA_CONFIG": "named.toml"}
    assert find_file(given, named, tmp_path) == given
    assert find_file(None, named, tmp_path) == Path("named.toml")
    assert find_file(None, {"INDICIA_CONFIG": ""}, tmp_path) != Path()
    (tmp_path / "indicia.toml").touch()
    assert find_file(None, {}, tmp_path) == tmp_path / "indicia.toml"


def test_a_file_that_can_not_be_read_says_why(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"can not be read \(No such file or directory\); name"):
        load_settings(tmp_path / "none.toml", {})
    file = tmp_path / "latin.toml"
    file.write_bytes(b"# \xe9")
    with pytest.raises(ConfigError, match=r"is not UTF-8 \(byte 2\); save it as UTF-8"):
        load_settings(file, {})
