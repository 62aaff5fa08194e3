"""Takes an address out of text that stays: of subjects, links, metadata."""

import re
from typing import Any
from urllib.parse import quote

from ledger.address import Address

FORGOTTEN = "[forgotten]"
"""What stands where an address stood."""


class Redaction:
    """Finds one address, in whatever case, plain or percent-encoded."""

    def __init__(self, address: Address) -> None:
        """Take the address."""
        spellings = {str(address), address.key}
        spellings |= {quote(one, safe="") for one in spellings}
        spellings |= {quote(one, safe="@") for one in spellings if "%" not in one}
        found = "|".join(map(re.escape, sorted(spellings, key=len, reverse=True)))
        # No part of a longer address: of joanna@a.example, of anna@a.example.net.
        self._pattern = re.compile(rf"(?<![\w.+-])(?:{found})(?![\w-]|\.\w)", re.IGNORECASE)

    def names(self, text: str) -> bool:
        """Tell whether a text names the address."""
        return self._pattern.search(text) is not None

    def text(self, text: str | None) -> str | None:
        """Return a text without the address."""
        return None if text is None else self._pattern.sub(FORGOTTEN, text)

    def value(self, value: Any) -> Any:  # noqa: ANN401 - whatever JSON has
        """Return a JSON value whose texts are without the address."""
        match value:
            case str():
                return self.text(value)
            case dict():
                return {self.text(name): self.value(one) for name, one in value.items()}
            case list() | tuple():
                return [self.value(one) for one in value]
            case _:
                return value
