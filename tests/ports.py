"""Ports for what a test starts."""

import contextlib
import random
import socket

_dice = random.Random()


def free_port() -> int:
    """Return a port that stays ours until the program that is to listen there does.

    The kernel gives those above 32,767 to whoever asks for any: somebody else's client would have
    it, or ours would then speak to somebody else.
    """
    while True:
        port = _dice.randrange(10_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
