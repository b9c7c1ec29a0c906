"""A verifier without a node, online: which of the documents it holds were revoked or lost a basis.

Each issuer is asked at the address that the member list names (R7) for its status lists and its
statements; both are verified before they count. Nothing tells the issuer which document it is.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from node.basis.service import opened_list
from node.guarded.client import MAX_STATUS_BYTES, GuardedClient
from node.verification.offline import MAX_BUNDLE, read_capped, read_trust
from protocols import basis
from protocols.credentials import status_list
from protocols.credentials.credential import MEDIA_TYPE, DocumentFile
from protocols.evidence import archive, contents
from protocols.verify import Case
from schemas import strict_json
from schemas.errors import RefusedError, TradeError, UnavailableError

if TYPE_CHECKING:
    from pathlib import Path

    from protocols.basis import Lost
    from protocols.credentials.credential import CredentialClaims
    from protocols.credentials.status_list import StatusList
    from protocols.member_list import MemberList

ZIP = b"PK\x03\x04"
MAX_STATEMENTS = 1_000
ACCEPTED = ("application/json", MEDIA_TYPE)
SECONDS = 10.0


def ask(file: Path, trust: Path) -> dict[str, Any]:
    """The documents of the file, each with its standing and what it lost.

    Raises as `read_trust`; MalformedError when the file is no document and no bundle.
    """
    now = datetime.now(UTC)
    members = read_trust(trust, now)
    held = [_claims(data, members, now) for data in _files(read_capped(file, MAX_BUNDLE))]
    found = asyncio.run(_ask(held, members, now))
    standings = [each["standing"] for each in found]
    return {
        "documents": found,
        "lost": "REVOKED" in standings or any(each["basisLost"] for each in found),
        "unknown": "UNKNOWN" in standings,
    }


def _files(data: bytes) -> list[bytes]:
    if not data.startswith(ZIP):
        return [data]
    members, _ = archive.read(data)
    return [each for name, each in sorted(members.items()) if contents.document_of(name)]


def _claims(data: bytes, members: MemberList, now: datetime) -> tuple[bytes, CredentialClaims]:
    case = Case(data, members, now)
    case.open()
    if case.claims is None:
        raise RefusedError("document_refused", "it is no document of this network")
    return DocumentFile.from_bytes(data).digest, case.claims


async def _ask(
    held: list[tuple[bytes, CredentialClaims]], members: MemberList, now: datetime
) -> list[dict[str, Any]]:
    client = GuardedClient(lambda: members)
    try:
        async with asyncio.timeout(SECONDS):
            asker = _Asker(client, members, now)
            return [await asker.about(digest, claims) for digest, claims in held]
    except TimeoutError:
        raise UnavailableError("status_unreachable", "the issuers did not answer in time") from None
    finally:
        await client.close()


class _Asker:
    """Asks every issuer once."""

    def __init__(self, client: GuardedClient, members: MemberList, now: datetime) -> None:
        self._client = client
        self._members = members
        self._now = now
        self._statements: dict[str, list[Lost] | None] = {}

    async def about(self, digest: bytes, claims: CredentialClaims) -> dict[str, Any]:
        statements = await self._said_by(claims.issuer)
        revoked = await self._revoked(claims)
        unknown = revoked is None or statements is None
        lost = [each for each in statements or () if each.document == digest]
        return {
            "digest": digest.hex(),
            "type": claims.document_type,
            "number": claims.number,
            "issuer": claims.issuer,
            "standing": "REVOKED" if revoked else "UNKNOWN" if unknown else "IN_FORCE",
            "basisLost": [
                {"path": [one.hex() for one in each.path], "by": each.by, "statement": each.text}
                for each in lost
            ],
        }

    async def _revoked(self, claims: CredentialClaims) -> bool | None:
        """None when the issuer's list cannot be had."""
        name = claims.status.list_url
        try:
            keeper = status_list.keeper_of(name, self._members, claims.issuer, self._now)
            path = f"/status/{status_list.list_id_of(name, keeper)}"
            text = (await self._get(keeper, path)).decode("ascii").strip()
            opened = status_list.open_list(text, members=self._members, now=self._now)
        except (TradeError, UnicodeDecodeError):
            return None
        if (opened.url, opened.issuer) != (name, keeper):
            return None
        return status_list.bit(opened.bits, claims.status.index)

    async def _said_by(self, issuer: str) -> list[Lost] | None:
        if issuer not in self._statements:
            try:
                body = await self._get(issuer, "/basis-lost")
                self._statements[issuer] = self._read(body, issuer)
            except TradeError:
                self._statements[issuer] = None
        return self._statements[issuer]

    def _read(self, body: bytes, issuer: str) -> list[Lost]:
        """The statements that are signed by the issuer and shown by a signed list."""
        members = strict_json.loads_object(body, max_bytes=MAX_STATUS_BYTES)
        texts = _texts(members, "statusLists")
        lists = [opened_list(text, self._members, self._now) for text in texts]
        found = [basis.read(text, self._members) for text in _texts(members, "statements")]
        return [each for each in found if each.by == issuer and _shown(each, lists)]

    async def _get(self, did: str, path: str) -> bytes:
        entry = self._members.node(did)
        if entry is None:
            raise RefusedError("peer_unlisted", f"{did} is not in the member list")
        return await self._client.get(
            f"{entry.endpoint}{path}", cap=MAX_STATUS_BYTES, accept=ACCEPTED
        )


def _texts(members: dict[str, Any], name: str) -> list[str]:
    items = members.get(name)
    return [each for each in items if isinstance(each, str)][:MAX_STATEMENTS] if isinstance(
        items, list) else []  # fmt: skip


def _shown(lost: Lost, lists: list[StatusList]) -> bool:
    for opened in lists:
        try:
            basis.require_revoked(lost, opened)
        except RefusedError:
            continue
        return True
    return False
