import re
import tomllib
from pathlib import Path

from config.load import load_settings
from config.options import all_options
from config.reference import EXAMPLE_FILE, REFERENCE_FILE, example_text, reference_text, write_files
from config.settings import Settings

ROOT = Path(__file__).parents[2]


def test_the_committed_files_are_what_the_model_says(tmp_path: Path) -> None:
    for file in (EXAMPLE_FILE, REFERENCE_FILE):
        (tmp_path / file).parent.mkdir()
    write_files(tmp_path)
    for file in (EXAMPLE_FILE, REFERENCE_FILE):
        made = (tmp_path / file).read_text(encoding="utf-8")
        assert (ROOT / file).read_text(encoding="utf-8") == made, "run: python -m config.reference"


def test_the_example_as_it_stands_is_the_sandbox(tmp_path: Path) -> None:
    file = tmp_path / "indicia.toml"
    file.write_text(example_text(), encoding="utf-8")
    settings = load_settings(file, {})
    assert settings == Settings(server={"state_dir": tmp_path / "var"})


def test_every_line_of_the_example_may_be_put_in_force(tmp_path: Path) -> None:
    file = tmp_path / "indicia.toml"
    file.write_text(re.sub(r"(?m)^#(?! )", "", example_text()), encoding="utf-8")
    settings = load_settings(file, {})
    assert settings.upstream[0].host == "smtp.example.net"
    assert settings.rule[0].name == "public sector"
    said = {
        (section, key)
        for section, keys in tomllib.loads(file.read_text(encoding="utf-8")).items()
        for key in (keys[0] if isinstance(keys, list) else keys)
    }
    known = {path[:2] for path, option in all_options().items() if not option.absent}
    assert said == known


UNREAD = {
    "saves_sent": "the collector reads it when it tells a sender's own opens",
}


def test_every_option_is_read_by_somebody() -> None:
    rooms = (ROOT / room for room in ("relay", "collector", "ledger", "indicia"))
    text = "".join(file.read_text("utf-8") for room in rooms for file in room.rglob("*.py"))
    names = {option.name for option in all_options().values() if not option.absent}
    unread = {name for name in names if not re.search(rf"\.{name}\b", text)}
    assert unread == set(UNREAD)


def test_every_option_says_why_someone_would_change_it() -> None:
    assert [path for path, option in all_options().items() if not option.why] == []
    for option in all_options().values():
        if not option.absent:
            assert f"`{option.name}`" in reference_text()
