"""A delegation of ship certificates in the member list: written, read, told and granted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from node.cli.changes import read_right
from node.trust import views
from protocols import member_list, rights
from protocols.member_list import IssuerEntry
from protocols.members.changes import diff
from schemas.errors import MalformedError
from tests.support import made_network
from tests.support.made_network import NOW, START, A, B

TYPE = "ship-certificate"
RIGHT = IssuerEntry(A, TYPE, "CN", START)
DELEGATION = IssuerEntry(B, TYPE, "CN", START, delegated_by=A, certificate_types=("IOPP", "ILL"))


def test_a_list_names_the_ship_certificates_that_a_delegation_is_for() -> None:
    made = made_network.founded()
    draft = replace(made.draft, issuers=(RIGHT, DELEGATION))
    signed = member_list.sign_list(draft.payload(), made.roots[:2])
    opened = member_list.open_founding(signed, now=NOW)
    assert opened.issuers == (RIGHT, DELEGATION)
    (granted,) = rights.delegations(opened, "CN") or ()
    assert (granted.organisation, granted.certificate_types) == (B, {"IOPP", "ILL"})
    told = diff(made.members, opened)
    assert any("IOPP, ILL" in one for one in told), told


def test_a_right_is_granted_for_named_ship_certificates_by_command_and_api() -> None:
    wish = read_right(f"{B}=ship-certificate:CN;from=2019-01-01;by={A};for=IOPP,ILL")
    assert wish["certificateTypes"] == ["IOPP", "ILL"]
    (grant,) = views.read_wish({"issuers": [wish]}).grants
    entry = grant.entry(B, NOW)
    assert (entry.certificate_types, entry.delegated_by) == (("IOPP", "ILL"), A)
    with pytest.raises(MalformedError):
        views.read_wish({"issuers": [wish | {"certificateTypes": ["iopp"]}]})
