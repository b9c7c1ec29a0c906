"""A good evidence bundle, its members, and bundles made of other members."""

from __future__ import annotations

from dataclasses import replace

from protocols.evidence import archive, contents
from protocols.evidence.contents import INDEX, Prepared
from protocols.evidence.verification import verify_bundle
from protocols.member_list import MemberList, open_founding, sign_list
from schemas.findings import Outcome, Report
from tests.support import evidence_world as world
from tests.support.title_world import ecdsa

GOOD = world.export().build()
MEMBERS, _ = archive.read(GOOD)


def wrong(report: Report) -> dict[str, tuple[str, str]]:
    return {
        check.id: (check.outcome.value, check.code)
        for check in report.checks
        if check.outcome is not Outcome.PASSED and check.code != "not_reached"
    }


def rebuilt(members: dict[str, bytes]) -> bytes:
    """The archive of these members with an index that is consistent with them."""
    index = contents.write_index(world.MEMBERS.network, world.UCR, members)
    return archive.write({**members, INDEX: index})


def sealed(
    members: dict[str, bytes], held: MemberList = world.MEMBERS, **changes: object
) -> Report:
    """The report on these members under a true statement by a listed exporter."""
    index = contents.write_index(world.MEMBERS.network, world.UCR, members)
    bundle = world.export(**changes).seal(Prepared(members, index))
    return verify_bundle(bundle, held)


def plain() -> dict[str, bytes]:
    return {name: data for name, data in MEMBERS.items() if name not in contents.PROVING}


def attackers(**changes: object) -> MemberList:
    """The founding list signed by other roots: the attacker's own network."""
    root = ecdsa("attacker", "root")
    draft = replace(
        world.draft(), roots=replace(world.MEMBERS.roots, keys=(root.public(),)), **changes
    )
    return open_founding(sign_list(draft.payload(), [root]))
