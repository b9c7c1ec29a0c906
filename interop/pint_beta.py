"""The older dialect of PINT that DCSA's conformance toolkit still sends (3.0.0 Beta snapshots).

Until the snapshots of November 2025 a transaction said `action` (ISSU, TRNS, ENDO, RESD, RESA) and
`timestamp` (milliseconds), and the issuance manifest stood at the root of the envelope. This reads
such entries in the words of 3.0.0 and changes no text: signatures, links and identities stay those
of what was sent. For single peers on networks flagged `test` (R7); `protocols.pint.checks` refuses
it elsewhere. Members that are null are read as absent.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from typing_extensions import override

from protocols import times
from protocols.pint.chain import Dialect
from protocols.pint.words import Action
from schemas.errors import MalformedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from protocols.pint.envelope import EblEnvelope
    from schemas.strict_json import JsonValue

ACTIONS: Mapping[str, Action] = MappingProxyType(
    {
        "ISSU": Action.ISSUE,
        "TRNS": Action.TRANSFER,
        "ENDO": Action.ENDORSE,
        "RESD": Action.SURRENDER_FOR_DELIVERY,
        "RESA": Action.SURRENDER_FOR_AMENDMENT,
    }
)
ISSUANCE = "issuanceManifestSignedContent"


@dataclass(frozen=True, slots=True)
class BetaDialect(Dialect):
    """The dialect for one envelope; issuance: what stands at its root."""

    issuance: JsonValue = None

    @override
    def entry(self, members: Mapping[str, JsonValue], index: int) -> Mapping[str, JsonValue]:
        """The entry in the words of 3.0.0; what is not understood is left for the reader."""
        read = {name: value for name, value in members.items() if value is not None}
        if index == 0 and self.issuance is not None:
            read.setdefault(ISSUANCE, self.issuance)
        transactions = read.get("transactions")
        if isinstance(transactions, list):
            read["transactions"] = [_transaction(item) for item in transactions]
        return read


def beta(envelope: EblEnvelope) -> BetaDialect:
    """The dialect for `envelope`, as `Receiver.dialect` asks for it."""
    return BetaDialect(envelope.further.get(ISSUANCE))


def _transaction(item: JsonValue) -> JsonValue:
    if not isinstance(item, dict):
        return item
    read: dict[str, JsonValue] = {name: value for name, value in item.items() if value is not None}
    action = ACTIONS.get(str(read.get("action")))
    if action is not None:
        # The toolkit says ISSUE in every actionCode; the older word is the one that it means.
        read["actionCode"] = action.value
    moment = read.get("timestamp")
    if isinstance(moment, int) and not isinstance(moment, bool):
        try:
            read.setdefault("actionDateTime", times.to_text(times.from_ms(moment)))
        except MalformedError:
            return read
    return read
