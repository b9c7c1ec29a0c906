"""The governing law and the rules of a title: what a carrier names, and what is accepted here.

Both stand in the issuance manifest, so the title's id commits to them (R19). A node accepts titles
under the laws of `title.laws` alone; a manifest without one is another system's and says nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.verification.offline import read_capped
from protocols.digest import sha256
from protocols.title.operation import read_manifest
from schemas import laws
from schemas.errors import RefusedError

if TYPE_CHECKING:
    from node.runtime import Node

MAX_RULEBOOK = 1024 * 1024


def law_for(node: Node, asked: str = "") -> str:
    """The code of the law for a title issued here: asked for, configured, or of our country.

    Raises RefusedError `title_law_unlisted`.
    """
    settings = node.settings
    code = asked or settings.title.law or laws.of_country(settings.node.country)
    require_accepted(node, code)
    return code


def rulebook_for(node: Node) -> bytes:
    """SHA-256 of the rules for a title issued here: the packaged ones, or `title.rulebook`'s."""
    name = node.settings.title.rulebook
    if not name:
        return laws.rulebook_digest()
    return sha256(read_capped(node.home.path / name, MAX_RULEBOOK))


def require_accepted(node: Node, code: str | None) -> None:
    """Raises RefusedError `title_law_unlisted` for a law that is not known or not accepted here."""
    accepted = node.settings.title.laws or tuple(laws.laws())
    if code is not None and (code not in accepted or code not in laws.laws()):
        raise RefusedError("title_law_unlisted", f"accepted are {', '.join(accepted)}")


def require_manifest(node: Node, issuance: str) -> None:
    """The same for the law that a carrier's manifest names."""
    require_accepted(node, read_manifest(issuance)[1].law)
