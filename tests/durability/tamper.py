"""What is done to a forked relay so that a test must notice: the controls, and a failing disk."""

import asyncio
import ctypes
import errno
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

Order = Mapping[str, Any]
"""What the parent was asked for."""
Tamper = Callable[[Order], None]
FAIL_NEXT = "fail-next-flush"

_kept: list[Any] = []
"""What C code calls must not be collected."""


def _synchronous(level: str) -> Tamper:
    def tamper(_order: Order) -> None:
        from sqlalchemy import event  # noqa: PLC0415 - the parent has imported it
        from sqlalchemy.pool import Pool  # noqa: PLC0415 - the same

        @event.listens_for(Pool, "checkout")
        def _weaken(connection: Any, _record: object, _proxy: object) -> None:
            # At each checkout, for the product sets its own level when it connects.
            cursor = connection.cursor()
            cursor.execute(f"PRAGMA synchronous={level}")
            cursor.close()

    return tamper


def _reply_first(_order: Order) -> None:
    """Say 250 while the writer still works."""
    from relay.spool import Spool  # noqa: PLC0415 - the parent has imported it

    store = Spool.store

    async def stored(self: Spool, send: Any) -> None:
        _kept.append(asyncio.ensure_future(store(self, send)))

    Spool.store = stored  # type: ignore[method-assign,assignment] # that is the control


def _fail_nth_sync(order: Order) -> None:
    """Let the nth flush from here fail."""
    syncs = count(1)
    _fail_syncs(lambda: next(syncs) == order["nth"])


def _fail_next_sync(order: Order) -> None:
    """Let the first flush fail that comes when FAIL_NEXT lies beside the output."""
    asked = Path(order["output"]).with_name(FAIL_NEXT)

    def fails() -> bool:
        with suppress(FileNotFoundError):
            asked.unlink()
            return True
        return False

    _fail_syncs(fails)


def _fail_syncs(fails: Callable[[], bool]) -> None:
    """Let flushes fail with EIO, by libfiu (`fiu-run -x` has loaded it)."""
    fiu = ctypes.CDLL("libfiu.so.0")
    callback = ctypes.CFUNCTYPE(
        ctypes.c_int,
        ctypes.c_char_p,
        ctypes.POINTER(ctypes.c_int),
        ctypes.POINTER(ctypes.c_void_p),
        ctypes.POINTER(ctypes.c_uint),
    )

    def asked(_name: bytes, _failnum: Any, _failinfo: Any, _flags: Any) -> int:
        failed = fails()
        if failed:
            os.write(2, b"flush failed\n")
        return int(failed)

    _kept.append(callback(asked))
    for point in (b"posix/io/sync/fdatasync", b"posix/io/sync/fsync"):
        failed = fiu.fiu_enable_external(point, 1, ctypes.c_void_p(errno.EIO), 0, _kept[-1])
        assert failed == 0, "libfiu is not loaded: start the parent by fiu-run -x"


TAMPERING: dict[str, Tamper] = {
    "synchronous=NORMAL": _synchronous("NORMAL"),
    "synchronous=OFF": _synchronous("OFF"),
    "reply before commit": _reply_first,
    "fail nth flush": _fail_nth_sync,
    "fail next flush": _fail_next_sync,
}
CONTROLS = tuple(TAMPERING)[:3]
"""Each takes away what makes an answer durable."""
