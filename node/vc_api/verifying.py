"""Verifying over the VC-API: the same steps as for everybody, without asking a member list.

What a list would say — whose key it is, what its holder may issue — is not asked here and nothing
that comes out is `Verified`: a report of `protocols.verify.proven`, and for credentials the status
that this node's own lists tell. Lists of others are not fetched.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from protocols.credentials import presentation, secured
from protocols.credentials.data_integrity import Expected
from protocols.verify import proven
from protocols.verify.proven import Proven
from schemas.errors import RefusedError, TradeError
from schemas.findings import Check, Outcome, Report

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from node.vc_api.requests import Options, Request
    from node.vc_api.resources import Resources
    from node.vc_api.status_lists import StatusLists
    from protocols.credentials.canonical_forms import CanonicalInput, Rdf
    from schemas.strict_json import JsonValue

#: What `checks` may leave out: the status; a presentation's holder and contained credentials.
STATUS, CONTENTS = "credentialStatus", "credentials"


class Verifier:
    """Verifies one request at one moment, with the canonical forms it needs."""

    def __init__(
        self, request: Request, now: datetime, lists: StatusLists, held: Resources
    ) -> None:
        """held: related resources that were retrieved before."""
        self._request = request
        self._options = request.options
        self._at = request.options.at or now
        self._lists = lists
        self._held = held
        self._rdf: Rdf | None = None
        self.document: Mapping[str, JsonValue] | None = None

    def inputs(self) -> tuple[CanonicalInput, ...]:
        """What has to be brought in canonical form before `report`."""
        return secured.canonical_inputs(self._request.file, self._options.resolve, legacy=True)

    def report(self, rdf: Rdf, *, shown: bool) -> Report:
        """The report on a credential, or where shown on a presentation; never raises."""
        self._rdf = rdf
        found, asked = self._read(self._request.file, self._options)
        self.document = found.proofs.document if found.proofs else None
        if found.fault is None and shown != presentation.is_presentation(found.members):
            found.fault = RefusedError("jws_typ_unexpected", "the other kind was asked for")
        if not shown:
            return self._credential(found)
        if not self._options.wants(CONTENTS):
            return _without_contents(proven.presentation_report(found, asked, _passed))
        report = proven.presentation_report(found, asked, self._contained)
        return _unless_asked(report, self._options)

    def _read(self, data: bytes, options: Options) -> tuple[Proven, Expected]:
        asked = Expected(self._at, domain=options.domain, challenge=options.challenge)
        found = Proven(self._at)
        found.read(data, options.outermost(), asked, self._rdf, legacy=True)
        return found, asked

    def _contained(self, data: bytes) -> Report:
        found, _ = self._read(data, replace(self._options, signer=None))
        return self._credential(found)

    def _credential(self, found: Proven) -> Report:
        report = proven.credential_report(found)
        more = [self._resources(found)]
        if self._options.wants(STATUS):
            more.append(self._status(found))
        checks = (*report.checks, *(check for check in more if check is not None))
        return replace(report, checks=checks)

    def _resources(self, found: Proven) -> Check | None:
        """PRF-02: related resources have the digests that the credential says."""
        if found.credential is None or "relatedResource" not in found.credential.members:
            return None
        try:
            self._held.require(found.credential.members)
        except TradeError as error:
            return Check("PRF-02", Outcome.FAILED, error.detail, error.code)
        return Check("PRF-02", Outcome.PASSED)

    def _status(self, found: Proven) -> Check | None:
        if found.credential is None or not found.credential.statuses:
            return None
        try:
            return self._entries(found.credential.statuses)
        except TradeError as error:
            return Check("CRED-10", Outcome.FAILED, error.detail, error.code)

    def _entries(self, entries: list[JsonValue]) -> Check:
        for entry in entries:
            if not isinstance(entry, dict) or not self._lists.is_own(entry):
                return Check("CRED-10", Outcome.INDETERMINATE, code="status_unknown")
            if self._lists.is_set(entry):
                code = "suspended" if entry["statusPurpose"] == "suspension" else "revoked"
                return Check("CRED-10", Outcome.FAILED, code=code)
        return Check("CRED-10", Outcome.PASSED)


def _passed(_: bytes) -> Report:
    return Report("", "", (Check("CRED-01", Outcome.PASSED),))


def _without_contents(report: Report) -> Report:
    """As asked by `checks`: that the outermost signature holds, and nothing more."""
    checks = tuple(check for check in report.checks if not check.id.startswith("VP-"))
    return replace(report, checks=checks)


def _unless_asked(report: Report, options: Options) -> Report:
    """Who asks no challenge has none answered; that is the caller's own business here."""
    if options.challenge is not None:
        return report
    return replace(report, checks=tuple(one for one in report.checks if one.id != "VP-01"))
