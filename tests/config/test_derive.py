import pytest

from config.derive import derive_defaults
from config.settings import Server, Settings


def derived(**given: object) -> dict[str, object]:
    whole = derive_defaults(given)
    return {
        f"{section}.{key}": value
        for section, keys in whole.items()
        if isinstance(keys, dict)
        for key, value in keys.items()
    }


def test_what_was_said_is_never_changed() -> None:
    said = {
        "database": {"url": "a", "spool_url": "b"},
        "tracking": {"base_url": "http://127.0.0.1:1", "unknown_consent": "off"},
        "console": {"public_url": "https://x.example"},
        "privacy": {"retain_content_s": 5},
    }
    assert derive_defaults(said) == said


@pytest.mark.parametrize(
    ("listen", "base"),
    [
        (["127.0.0.1:9000"], "http://127.0.0.1:9000"),
        (["0.0.0.0:9000"], "http://127.0.0.1:9000"),
        (["[::]:9000"], "http://127.0.0.1:9000"),
        (["192.0.2.1:9000"], "http://127.0.0.1:8025"),
        ([], "http://127.0.0.1:8025"),
    ],
)
def test_the_base_is_where_the_collector_listens_on_this_machine(
    listen: list[str], base: str
) -> None:
    assert derived(collector={"listen": listen})["tracking.base_url"] == base


def test_sign_in_links_lead_to_where_the_console_listens() -> None:
    assert (
        derived(console={"listen": ["192.0.2.1:9"]})["console.public_url"] == "http://192.0.2.1:9"
    )


def test_consent_follows_only_while_every_base_is_on_this_machine() -> None:
    assert derived()["tracking.unknown_consent"] == "individual"
    assert "tracking.unknown_consent" not in derived(tracking={"base_url": "https://t.example"})
    elsewhere = [{"base_url": "https://t.example"}]
    assert "tracking.unknown_consent" not in derived(tracking_host=elsewhere)


def test_captured_mail_is_kept_a_week() -> None:
    assert derived()["privacy.retain_content_s"] == 604_800
    assert "privacy.retain_content_s" not in derived(upstream=[{"host": "x"}])


def test_what_has_the_wrong_form_is_left_for_the_model_to_refuse() -> None:
    given = {"server": {"state_dir": 5}, "tracking": 5, "tracking_host": 5}
    whole = derive_defaults(given)
    assert whole["tracking"] == 5
    assert whole["database"] == {}


def test_a_section_may_be_given_as_it_is() -> None:
    settings = Settings(server=Server(state_dir="/s"))
    assert settings.database.url == "sqlite+aiosqlite:////s/ledger.db"
