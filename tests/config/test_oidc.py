"""The table of an OpenID provider: what it may say, and what is refused with which mend."""

from pathlib import Path

import pytest

from config.faults import ConfigError
from config.load import load_settings
from config.oidc import Oidc

GOOD = "issuer = 'https://id.example.com/realms/staff'\nclient_id = 'indicia'"


def read(tmp_path: Path, table: str) -> Oidc:
    file = tmp_path / "indicia.toml"
    file.write_text(f"[console.oidc]\n{table}\n", encoding="utf-8")
    return load_settings(file, {}).console.oidc


def test_without_a_table_nobody_signs_in_so() -> None:
    oidc = load_settings(None, {}).console.oidc
    assert (oidc.enabled, oidc.maps_roles, oidc.passwords) == (False, False, True)


def test_an_issuer_and_an_id_are_enough_and_files_are_from_the_folder(tmp_path: Path) -> None:
    oidc = read(tmp_path, f"{GOOD}\nclient_secret_file = 'oidc.secret'")
    assert oidc.enabled
    assert oidc.client_secret_file == tmp_path / "oidc.secret"
    assert read(tmp_path, f"{GOOD}\nclient_secret_file = ''").client_secret_file is None
    assert read(tmp_path, "issuer = 'http://127.0.0.1:3000'\nclient_id = 'x'").enabled
    assert read(tmp_path, f"{GOOD}\ncreate = true\nuser_groups = ['staff']").maps_roles


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ("issuer = 'http://id.example'\nclient_id = 'x'", "is not https, and not on this machine"),
        ("issuer = 'id.example'\nclient_id = 'x'", "is no https URL"),
        ("issuer = 'ftp://id.example'\nclient_id = 'x'", "is no https URL"),
        ("issuer = 'https://[id'\nclient_id = 'x'", "is no URL"),
        ("issuer = 'https://id.example/?a=b'\nclient_id = 'x'", "has more than scheme, host, port"),
        ("issuer = 'https://a:b@id.example'\nclient_id = 'x'", "has more than scheme, host, port"),
        ("issuer = 'https://id.example'", "console.oidc.issuer, line 2: has no client_id"),
        ("client_id = 'x'", "console.oidc.client_id, line 2: has no issuer; write issuer, or"),
        ("passwords = false", "console.oidc.passwords, line 2: has no issuer"),
        (f"{GOOD}\ncreate = true", "line 4: would give an account to whoever has one"),
        (f"{GOOD}\nname = ''", "console.oidc.name, line 4"),
        (f"{GOOD}\ndomains = ['a@b']", "console.oidc.domains[0], line 4: is no domain"),
        (f"{GOOD}\nclient_secret = 'x'", "console.oidc.client_secret, line 4: is unknown"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, table: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, table)
    (fault,) = caught.value.faults
    assert told in str(fault)
