"""fsck: verify everything that is stored, say what is damaged and how to repair it.

Each area is one function `(connection, context) → damages` over a read-only snapshot, under a
check id of the catalogue (FSCK-01 …), whose next step tells how to repair. The store is never
changed; `repairs` makes files beside it again, when that is asked for. It needs no running service,
so a store too damaged to start from can be examined.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from schemas.errors import NotFoundError, TradeError
from schemas.findings import Check, Outcome, Report

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from node.home import Home
    from node.keystore import KeyStore
    from node.store.store import Store
    from protocols.log.note import VerifierKey
    from protocols.member_list import LogEntry, MemberList, RegistryEntry
    from protocols.seams import Clock

MAX_DAMAGES = 100
"""Damages listed per area; more are counted only."""


@dataclass(slots=True)
class Context:
    """What areas work with. `members` is the newest stored list, None when there is none."""

    home: Home
    keys: KeyStore
    members: MemberList | None = None
    lists: dict[bytes, MemberList] = field(default_factory=dict)
    examined: int = 0

    def log_key(self, origin: str) -> VerifierKey | None:
        """The listed key of a log or registry; our own log's also when it is not listed."""
        from protocols.log import note

        entry = self._listed(origin)
        if entry is not None:
            return note.parse_vkey(entry.vkey)
        if self.keys.has("log"):
            signer = self.keys.signer("log")
            number = int(signer.kid.rpartition("-")[2])
            own = note.log_key(self.keys.did, signer.public().raw(), number)
            return own if own.name == origin else None
        return None

    def policy_text(self, origin: str) -> str:
        """The witness policy of a log or registry, or one without witnesses."""
        entry = self._listed(origin)
        return entry.policy if entry is not None and entry.policy else "quorum none\n"

    def _listed(self, origin: str) -> LogEntry | RegistryEntry | None:
        if self.members is None:
            return None
        return self.members.log(origin) or self.members.registry(origin)


Area: TypeAlias = Callable[["Connection", Context], Iterator[str]]


@dataclass(slots=True)
class AreaResult:
    """One area: its check id, how much was examined, and what is damaged (sentences)."""

    check: str
    examined: int
    damages: list[str]
    count: int

    def to_check(self) -> Check:
        """As a check of a report; an area with nothing in it passes."""
        if not self.count:
            return Check(self.check, Outcome.PASSED, f"{self.examined} examined")
        more = {"examined": self.examined, "damaged": self.count, "damages": self.damages}
        return Check(self.check, Outcome.FAILED, self.damages[0], evidence=more)


def areas() -> dict[str, Area]:
    """Every area by its check id, in order."""
    from node.fsck import (
        admissions,
        approvals,
        balances,
        bills,
        calls,
        issuances,
        kept,
        logs,
        registries,
        remembered,
        stored,
        streams,
        surrenders,
        titles,
        told,
        tracking,
    )

    return {
        "FSCK-09": stored.database,
        "FSCK-06": admissions.lists_and_admissions,
        "FSCK-01": logs.entries,
        "FSCK-02": logs.checkpoints_and_tree,
        "FSCK-03": logs.tiles,
        "FSCK-04": stored.documents,
        "FSCK-05": streams.messages_and_streams,
        "FSCK-07": titles.titles,
        "FSCK-08": logs.witness_states,
        "FSCK-10": logs.chains,
        "FSCK-11": registries.registries,
        "FSCK-12": stored.contexts,
        "FSCK-13": kept.lists,
        "FSCK-14": kept.chain_anchors,
        "FSCK-15": kept.stamps,
        "FSCK-16": tracking.tracking,
        "FSCK-17": bills.received_bills,
        "FSCK-18": issuances.issuances,
        "FSCK-19": surrenders.surrenders,
        "FSCK-20": calls.calls,
        "FSCK-21": calls.notifications,
        "FSCK-22": approvals.approvals,
        "FSCK-23": balances.balances,
        "FSCK-24": remembered.remembered,
        "FSCK-25": told.told,
    }


def examine(conn: Connection, context: Context, check: str) -> AreaResult:
    """Run one area. What cannot even be read is a damage too. Raises NotFoundError."""
    area = areas().get(check)
    if area is None:
        raise NotFoundError("fsck_area_unknown", f"the areas are {', '.join(sorted(areas()))}")
    if not context.lists:
        from node.fsck.stored import load_lists

        load_lists(conn, context)
    context.examined = 0
    result = AreaResult(check, 0, [], 0)
    for damage in _guarded(area, conn, context):
        result.count += 1
        if len(result.damages) < MAX_DAMAGES:
            result.damages.append(damage)
    result.examined = context.examined
    return result


def _guarded(area: Area, conn: Connection, context: Context) -> Iterator[str]:
    from sqlalchemy.exc import DBAPIError

    try:
        yield from area(conn, context)
    except TradeError as error:
        yield f"cannot be read further: {error}"
    except DBAPIError as error:
        yield f"the database cannot be read: {type(error.orig).__name__}"


async def run_area(
    store: Store, home: Home, keys: KeyStore, check: str, *, repair: bool = False
) -> Check:
    """One area on a read-only snapshot of its own. Raises NotFoundError `fsck_area_unknown`.

    repair: what is damaged and can be made again without loss is; then it is looked at once more.
    Raises ConflictError `fsck_not_repairable` where what it is made from is damaged as well.
    """
    result = await store.read(examine, Context(home, keys), check)
    if result.count and repair:
        from node.fsck.repairs import REPAIRS

        mend = REPAIRS.get(check)
        if mend is not None:
            await store.read(mend, Context(home, keys))
            result = await store.read(examine, Context(home, keys), check)
    return result.to_check()


async def run(store: Store, home: Home, keys: KeyStore, clock: Clock) -> Report:
    """All areas in order."""
    from protocols.times import to_text

    checks = [await run_area(store, home, keys, check) for check in areas()]
    return Report("store", to_text(clock.now()), tuple(checks))
