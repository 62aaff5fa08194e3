"""How a command ends when it did not hold."""

NOT_HELD = 1
USAGE = 2


class Failure(Exception):  # noqa: N818 - it is an end, told to people, and no bug
    """What is told to the user in one line, without a traceback."""

    def __init__(self, text: str, status: int = NOT_HELD) -> None:
        """Keep the text and the exit status: 1 did not hold or not found, 2 usage."""
        super().__init__(text)
        self.status = status
