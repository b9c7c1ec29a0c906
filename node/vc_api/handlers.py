"""HTTP of the VC-API (W3C CCG VC-API), one family of paths per way to secure (`node.vc_api.forms`).

POST /<family>/<key>/credentials/{issue,verify,status}, …/presentations/{issue,verify}; GET /issuers
and /status-lists/<purpose>. Every rejection is a problem document with 400 or 422.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import orjson
from aiohttp import web

from node.http.helpers import json_response
from node.http.problems import PROBLEM, lang
from node.http.routes import CODE, JSON, Auth, Handler, Route
from node.vc_api import forms as ways
from node.vc_api import issuing, problems, requests
from node.vc_api.forms import Family
from node.vc_api.resources import Resources
from node.vc_api.status_lists import StatusLists
from node.vc_api.verifying import Verifier
from node.verification.canonicaliser import Canonicaliser
from node.verification.contexts import ContextStore
from protocols.credentials import data_integrity
from protocols.credentials.canonical_forms import Rdf
from protocols.fields import Fields
from schemas import strict_json
from schemas.errors import TradeError
from schemas.findings import Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from node.runtime import Node
    from protocols.credentials.canonical_forms import CanonicalForms, CanonicalInput
    from protocols.keys import SoftwareSigner
    from schemas.findings import Report
    from schemas.strict_json import JsonValue

DEADLINE = 30.0
_ISSUED = {201: "The secured document itself", 400: "Not one", 422: "May not be issued"}
_VERIFIED = {200: "Verified", 400: "Cannot be read", 422: "Does not verify"}


class VcApiHandlers:
    """The handlers, what they work with, and the routes that lead to them."""

    def __init__(self, node: Node, folder: Path, url: str) -> None:
        """Reads contexts, resources and lists; SettingsError for what is damaged."""
        self._node = node
        self._contexts = ContextStore.load(node.home.path / "contexts")
        self._resources = Resources.load(node.settings.vc_api.resources)
        self._lists = StatusLists(folder, url)
        self._canonicaliser = Canonicaliser()

    async def close(self) -> None:
        """Ends the canonicaliser's workers."""
        await self._canonicaliser.close()

    def routes(self) -> Sequence[Route]:
        """What the listener serves, to anybody who reaches loopback."""
        base = "/{family}/{key}"
        posts: tuple[tuple[str, Handler, str, Mapping[int, str]], ...] = (
            ("credentials/issue", self._issue, "Issue a credential", _ISSUED),
            ("credentials/verify", self._verify_credential, "Verify a credential", _VERIFIED),
            ("credentials/status", self._status, "Set or clear a status", {200: "Done"}),
            ("presentations/issue", self._present, "Make a presentation", _ISSUED),
            ("presentations/verify", self._verify_presentation, "Verify one", _VERIFIED),
        )
        made = [
            Route("POST", f"{base}/{path}", _guarded(handler), Auth.OPEN, summary, self.tag,
                  request={JSON: {}}, responses=dict(responses), max_body=requests.MAX_BODY,
                  deadline=DEADLINE)
            for path, handler, summary, responses in posts
        ]  # fmt: skip
        for path, get in (("/issuers", self._issuers), ("/status-lists/{purpose}", self._list)):
            made.append(Route("GET", path, _guarded(get), Auth.OPEN, path, self.tag))
        return made

    tag = "vc-api"

    # -- issuing -------------------------------------------------------------------------------

    async def _issue(self, request: web.Request) -> web.Response:
        family, signer = self._asked(request)
        read = requests.read(await request.read(), "credential")
        did = signer.kid.partition("#")[0]
        members = issuing.credential(
            read,
            family,
            did,
            lists=self._lists,
            held=self._resources,
            contexts=self._contexts.bodies,
        )
        return json_response(await self._secured(members, family, signer, read), status=201)

    async def _present(self, request: web.Request) -> web.Response:
        family, signer = self._asked(request)
        read = requests.read(await request.read(), "presentation")
        members = issuing.to_present(read, signer.kid.partition("#")[0])
        return json_response(await self._secured(members, family, signer, read), status=201)

    async def _secured(
        self,
        members: Mapping[str, JsonValue],
        family: Family,
        signer: SoftwareSigner,
        read: requests.Request,
    ) -> dict[str, JsonValue]:
        if family.enveloping:
            return issuing.enveloped(members, family, signer, read)
        made = issuing.proof_draft(members, family, signer, read, self._node.clock.now())
        return issuing.proven(made, signer, await self._canonical(made.inputs))

    def _asked(self, request: web.Request) -> tuple[Family, SoftwareSigner]:
        family = ways.family(request.match_info["family"], request.match_info["key"])
        return family, self._node.keys.issuer(family.algorithm)

    async def _canonical(self, inputs: Sequence[CanonicalInput]) -> CanonicalForms:
        return await self._canonicaliser.forms(inputs, self._contexts) if inputs else {}

    # -- verifying -----------------------------------------------------------------------------

    async def _verify_credential(self, request: web.Request) -> web.Response:
        return await self._verify(request, "verifiableCredential")

    async def _verify_presentation(self, request: web.Request) -> web.Response:
        return await self._verify(request, "verifiablePresentation")

    async def _verify(self, request: web.Request, name: str) -> web.Response:
        ways.family(request.match_info["family"], request.match_info["key"])
        read = requests.read(await request.read(), name)
        verifier = Verifier(read, self._node.clock.now(), self._lists, self._resources)
        forms = await self._canonical(verifier.inputs())
        shown = name == "verifiablePresentation"
        report = verifier.report(Rdf(self._contexts.bodies, forms), shown=shown)
        if report.verdict is not Outcome.PASSED:
            return _refused(request, report)
        language = lang(request)
        return json_response(
            {"verified": True, "document": verifier.document, "report": report.to_json(language)}
        )

    # -- status --------------------------------------------------------------------------------

    async def _status(self, request: web.Request) -> web.Response:
        """The entry as it was issued, and what its bit shall say."""
        body = strict_json.loads_object(await request.read(), max_bytes=requests.MAX_BODY)
        fields = Fields(body, requests.CODE)
        entry = fields.child("credentialStatus").members
        self._lists.change(entry, on=fields.boolean("status"))
        return json_response({"status": fields.boolean("status")})

    async def _list(self, request: web.Request) -> web.Response:
        signer = self._node.keys.issuer(ways.KINDS["p-256"])
        ttl = self._node.settings.status.ttl
        members = self._lists.credential(request.match_info["purpose"], ttl)
        members["issuer"] = signer.kid.partition("#")[0]
        now = self._node.clock.now()
        return json_response(data_integrity.issue(members, signer, created=now))

    async def _issuers(self, _: web.Request) -> web.Response:
        """Every family: its name, the kind of key, and the issuer that signs with it."""
        found = [
            {
                "family": one.name,
                "key": one.kind,
                "id": self._node.keys.issuer(one.algorithm).kid.partition("#")[0],
                "path": f"/{one.name}/{one.kind}",
            }
            for one in ways.all_families()
        ]
        return json_response({"issuers": found})


def _guarded(handler: Handler) -> Handler:
    """Whatever is refused becomes a problem of the VC-API, never a fault of ours."""

    async def guarded(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except TradeError as error:
            request[CODE] = error.code
            body = problems.of_error(error, lang(request))
        return _problem(body)

    return guarded


def _refused(request: web.Request, report: Report) -> web.Response:
    decided = next(one for one in report.checks if one.outcome is not Outcome.PASSED)
    request[CODE] = decided.code or decided.id
    return _problem(problems.of_report(report, lang(request)))


def _problem(body: Mapping[str, Any]) -> web.Response:
    data = orjson.dumps(body, default=str)
    return web.Response(body=data, status=body["status"], content_type=PROBLEM)
