"""docs/upstreams.md: what one copies from there is a configuration."""

import re
from pathlib import Path

import pytest

from config.load import load_settings

PAGE = Path(__file__).parents[2] / "docs" / "upstreams.md"
EXAMPLES = re.findall(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
SAID = '[tracking]\nbase_url = "https://t.example.com"\nunknown_consent = "anonymous"\n'


@pytest.mark.parametrize("example", EXAMPLES)
def test_each_example_is_a_configuration(tmp_path: Path, example: str) -> None:
    file = tmp_path / "indicia.toml"
    file.write_text(example + SAID, encoding="utf-8")
    (upstream,) = load_settings(file, {}).upstream
    files = (
        upstream.password_file,
        upstream.oauth_client_secret_file,
        upstream.oauth_refresh_token_file,
        upstream.client_certificate_file,
        upstream.client_private_key_file,
    )
    # Relative to the file that names them.
    assert all(path.parent == tmp_path for path in files if path is not None)


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 8
