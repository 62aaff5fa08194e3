from pathlib import Path

from indicia.reference import COMMANDS_FILE, write_file

ROOT = Path(__file__).parents[2]


def test_the_committed_file_is_what_the_commands_say(tmp_path: Path) -> None:
    (tmp_path / COMMANDS_FILE).parent.mkdir()
    write_file(tmp_path)
    made = (tmp_path / COMMANDS_FILE).read_text(encoding="utf-8")
    assert "## `indicia sandbox send`" in made
    told = "run: python -m indicia.reference"
    assert (ROOT / COMMANDS_FILE).read_text(encoding="utf-8") == made, told
