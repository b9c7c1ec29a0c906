"""What a bill of lading is after each deed, told in a few lines and without the node's own code.

Sources: DCSA PINT 3.0.0 (Transaction.actionCode, eBL types), SUR 3.0.4 (who may ask). A wrong
history over three platforms differs from this one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

from protocols.pint.words import Action, Reason

#: The traders by name and the node that has their account; the carrier is its own platform.
HOSTS = {
    "exp-a": "nhl",
    "bank": "nl-port",
    "imp-a": "nl-port",
    "financier-2": "sg-port",
    "imp-b": "sg-port",
    "nhl": "nhl",
}
TRADERS = tuple(name for name in HOSTS if name != "nhl")
#: Straight bills may be pledged to parties of this node: it has the role of a bank.
BANK = "sg-port"
#: This node takes titles under one law only; bills under another never get there.
PARTICULAR, ITS_LAW = "sg-port", "GB-ETDA-2023"
OTHER_LAW = "SG-ETA-2021"

DELIVERY, AMENDMENT = Action.SURRENDER_FOR_DELIVERY, Action.SURRENDER_FOR_AMENDMENT
ANSWERS = frozenset({Action.SREJ, Action.SACC})


class Deed(NamedTuple):
    """One thing that somebody wants to do with a bill; names, not DIDs."""

    actor: str
    action: Action
    to: str | None = None
    reason: Reason | None = None

    def __str__(self) -> str:
        to, why = self.to or "", f" ({self.reason.value})" if self.reason else ""
        return f"{self.actor} {self.action.value} {to}{why}".strip()


@dataclass(frozen=True)
class Paper:
    """A bill. kind: straight, to-order, blank or named; holder: None for the bearer.

    asked: the surrender that waits, or that was accepted when the bill is over
    """

    kind: str
    shipper: str
    possessor: str
    holder: str | None
    law: str = ITS_LAW
    asked: Deed | None = None
    over: bool = False

    @property
    def live(self) -> bool:
        return self.asked is None and not self.over

    def allows(self, deed: Deed) -> bool:
        """Whether that deed is to come about."""
        if self.over:
            return False
        if deed.action in ANSWERS:
            return self.asked is not None and deed.actor == "nhl"
        if not self.live or deed.actor != self.possessor:
            return False
        if deed.action in {DELIVERY, AMENDMENT}:
            return self._may_surrender(deed)
        if deed.to in {self.possessor, "nhl"}:
            return False
        if deed.action is Action.TRANSFER:
            return self._may_pass(deed.to or "")
        return self.kind in {"to-order", "blank"} and self.holder in {None, deed.actor}

    def _may_surrender(self, deed: Deed) -> bool:
        by_shipper = deed.actor == self.shipper
        if by_shipper and (deed.action is AMENDMENT or self.kind == "straight"):
            return True
        return self.holder == deed.actor or (self.holder is None and self.kind != "straight")

    def _may_pass(self, to: str) -> bool:
        within = HOSTS[to] == HOSTS[self.possessor]
        if not within and HOSTS[to] == PARTICULAR and self.law != ITS_LAW:
            return False
        return self.kind != "straight" or to in {self.shipper, self.holder} or HOSTS[to] == BANK

    def after(self, deed: Deed) -> Paper:
        """The bill after a deed that it allows."""
        if deed.action is Action.TRANSFER:
            return replace(self, possessor=deed.to or "")
        if deed.action in {DELIVERY, AMENDMENT}:
            return replace(self, asked=deed)
        if deed.action is Action.SREJ:
            return replace(self, asked=None)
        if deed.action is Action.SACC:
            return replace(self, over=True)
        kinds = {
            Action.ENDORSE: "named",
            Action.ENDORSE_TO_ORDER: "to-order",
            Action.BLANK_ENDORSE: "blank",
        }
        return replace(self, kind=kinds[deed.action], holder=deed.to)


def everything() -> list[Deed]:
    """All that anybody could want."""
    deeds = [Deed("nhl", answer) for answer in sorted(ANSWERS)]
    for actor in TRADERS:
        deeds += [Deed(actor, Action.BLANK_ENDORSE), Deed(actor, DELIVERY), Deed(actor, AMENDMENT)]
        deeds += [Deed(actor, AMENDMENT, None, reason) for reason in Reason]
        for to in HOSTS:
            named = (Action.TRANSFER, Action.ENDORSE, Action.ENDORSE_TO_ORDER)
            deeds += [Deed(actor, action, to) for action in named]
    return deeds
