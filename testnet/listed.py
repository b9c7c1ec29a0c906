"""Whether every listed node answers where the member list says that it is.

A node that answers its operator and nobody else is unreachable to its partners, and its status
lists grow old there: what is kept running must be asked at the addresses that others use (R7).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import aiohttp

from testnet.operator import eventually

if TYPE_CHECKING:
    from protocols.member_list import MemberList

ANSWER: Final = 5.0
DEADLINE: Final = 10.0


async def silent(members: MemberList, *, deadline: float = DEADLINE) -> list[str]:
    """The nodes that do not answer as themselves at their listed address within `deadline` s."""
    left = {node.did: node.endpoint for node in members.nodes}
    # A session of its own: no connection that is open from before answers for an address.
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER)) as session:

        async def look() -> bool:
            asked = list(left)
            heard = await asyncio.gather(*(_answers(session, did, left[did]) for did in asked))
            for did, good in zip(asked, heard, strict=True):
                if good:
                    del left[did]
            return not left

        await eventually(look, deadline=deadline, pause=0.2)
    return [f"{did} at {endpoint}" for did, endpoint in left.items()]


async def _answers(session: aiohttp.ClientSession, did: str, endpoint: str) -> bool:
    try:
        async with session.get(f"{endpoint}/readyz") as answer:
            if answer.status != 200:
                return False
        async with session.get(f"{endpoint}/.well-known/did.json") as answer:
            return answer.status == 200 and (await answer.json(content_type=None))["id"] == did
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError, KeyError, TypeError):
        return False
