"""A sender of webhooks in a process of its own, to be killed: FOLDER PORT."""

import asyncio
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from collector.posted import Pace
from collector.telling import telling
from config.settings import Settings
from ledger.migrate import open_stores

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PACE = Pace(first_s=0.02, longest_s=0.2, give_up=timedelta(days=1))
"""As the product does it, a hundred times faster."""


def settings_of(folder: Path, port: int) -> Settings:
    hook = {"url": f"http://127.0.0.1:{port}/", "secret": SECRET, "allow_private": True}
    given: dict[str, Any] = {"server": {"state_dir": folder}, "webhook": [hook]}
    return Settings(**given)


async def main(folder: Path, port: int) -> None:
    settings = settings_of(folder, port)
    stores = await open_stores(settings.database.url, settings.database.spool_url)
    async with telling(settings, stores.ledger, PACE):
        print("ready", flush=True)  # noqa: T201 - to who waits for it
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
