"""SEAL: a hit in the spill, where consent is still to be asked.

Its headers and where it led are closed until then: what a withdrawn recipient's mail program sent
is never on a disk in the clear.
"""

import json

from ledger.keys import KeyRing
from ledger.seal import open_bytes, seal_bytes
from ledger.story import RecordedHit, SpilledHit

_PERSON = b"indicia spill"


def seal_hit(keys: KeyRing, hit: RecordedHit, salt: bytes) -> SpilledHit:
    """Return a hit as the spill keeps it; `salt` is random, ledger.seal.SALT_BYTES long.

    Law: open_hit gives it back.
    """
    plain = json.dumps([hit.url, dict(hit.features)], ensure_ascii=False).encode(
        "utf-8", "surrogatepass"
    )
    return SpilledHit(
        hit_id=hit.hit_id,
        at=hit.at,
        kind=hit.kind,
        copy_id=hit.copy_id,
        slot=hit.slot,
        html=hit.html,
        sealed=seal_bytes(keys.current, _PERSON, plain, salt),
    )


def open_hit(keys: KeyRing, spilled: SpilledHit) -> RecordedHit:
    """Return a hit of the spill.

    Raises SealError where its key is gone, or it was altered.
    """
    plain = open_bytes(keys.keys, _PERSON, spilled.sealed)
    url, features = json.loads(plain.decode("utf-8", "surrogatepass"))
    return RecordedHit(
        hit_id=spilled.hit_id,
        at=spilled.at,
        kind=spilled.kind,
        copy_id=spilled.copy_id,
        slot=spilled.slot,
        html=spilled.html,
        url=url,
        features=features,
    )
