"""Layouts that were made ready lately, for the copies of the same send that follow."""

from collections import OrderedDict
from collections.abc import Mapping

import structlog

from ledger.token import TokenKey
from relay.fault import pass_for_fault
from relay.mail import Signing
from relay.promise import Claim
from relay.sign import MakeSignature, Seal
from relay.stamp import Prepared, is_anonymous, prepare_layout, stamp_prepared

_MOST = 16
"""Copies of a send are due together, so those of a few sends alternate at most."""

_LONGEST_BYTES = 1024 * 1024
"""A longer layout is made ready each time: sixteen of them shall not fill the memory."""

_log = structlog.get_logger()


class Stamping:
    """Stamps claims, each with the key that its copy names."""

    def __init__(
        self, keys: Mapping[int, TokenKey], signers: Mapping[Signing, MakeSignature]
    ) -> None:
        """Keep the keys of tokens and of signatures."""
        self._keys = keys
        self._signers = signers
        self._ready: OrderedDict[tuple[str, int, bool], Prepared] = OrderedDict()

    def stamp(self, claim: Claim) -> bytes:
        """Return the copy as it goes on the wire; where it can not be stamped, the original.

        Without its key no token of it could be read again, and mail does not wait for tracking.
        """
        copy, template = claim.copy, claim.template
        if copy.layout is None:
            return template.original
        key = self._keys.get(copy.key_id)
        if key is None:
            _log.error("key.missing", copy_id=copy.copy_id, key_id=copy.key_id)
            return template.original
        seal = self._seal(claim)
        if seal is None and template.signing is not None:
            # The original has its own signatures, and those hold.
            signing = template.signing
            _log.error(
                "signer.missing",
                copy_id=copy.copy_id,
                domain=signing.domain,
                selector=signing.selector,
            )
            return template.original
        try:
            return stamp_prepared(self._prepared(claim, copy.layout), copy, key, seal)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - house rule 29 apart: a fault here holds up no mail
            fault = pass_for_fault(error).detail
            _log.error("stamping.failed", copy_id=copy.copy_id, fault=fault)
            return template.original

    def _seal(self, claim: Claim) -> Seal | None:
        signing = claim.template.signing
        make = None if signing is None else self._signers.get(signing)
        return None if signing is None or make is None else Seal(signing, claim.received_at, make)

    def _prepared(self, claim: Claim, layout: int) -> Prepared:
        template, anonymous = claim.template, is_anonymous(claim.copy)
        if len(template.original) > _LONGEST_BYTES:
            return prepare_layout(template, layout, anonymous=anonymous)
        which = (claim.copy.send_id, layout, anonymous)
        prepared = self._ready.pop(which, None)
        if prepared is None:
            prepared = prepare_layout(template, layout, anonymous=anonymous)
        self._ready[which] = prepared
        if len(self._ready) > _MOST:
            self._ready.popitem(last=False)
        return prepared
