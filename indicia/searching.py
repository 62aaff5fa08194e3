"""The proof after an erasure: the raw files of the stores, searched for an address."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import quote

from ledger.address import Address

_CHUNK_BYTES = 1 << 22

BESIDE = ("", "-wal", "-shm", "-journal")
"""What SQLite keeps beside a file, by the end of its name."""


def store_files(files: Iterable[Path]) -> Iterator[Path]:
    """Yield the files of some stores, as many as there are."""
    for file in files:
        for end in BESIDE:
            one = file.with_name(file.name + end)
            if one.exists():
                yield one


def count_found(file: Path, address: Address) -> int:
    """Return how often an address stands in a file, in whatever case, plain or percent-encoded."""
    spelled = {str(address), address.key}
    needles = {
        one.lower().encode() for one in (*spelled, *(quote(one, safe="") for one in spelled))
    }
    overlap = max(map(len, needles)) - 1
    found, before = 0, b""
    with file.open("rb") as content:
        while piece := content.read(_CHUNK_BYTES):
            text = before + piece.lower()
            # What lies wholly in the part that was looked at before has been counted.
            found += sum(text.count(one) - before.count(one) for one in needles)
            before = text[-overlap:]
    return found
