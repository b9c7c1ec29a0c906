"""The routes of the control tracking registry, below each base URI that the member list leads to.

A URI names one arbiter for good: below `/ctr/<arbiter>/v1` titles of this network are shown, and
below `/ctr/v1` everything that is recorded here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from node.http.helpers import hex_digest, json_response, query_int, read_json
from node.http.routes import JSON, Auth, Parameter, Route
from protocols.fields import Fields
from protocols.pint.reading import CODE, MAX_COMPACT, compact, optional_compact

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiohttp import web

    from node.tracking.service import TrackingService

BASES = ("/ctr/v1", "/ctr/{arbiter}/v1")
_DEADLINE = 15.0
_TAG = "control tracking registry"
_JWS = {"type": "string", "pattern": r"^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$"}
_BODY: dict[str, Any] = {
    "type": "object",
    "required": ["platformRecordSignedContent"],
    "properties": {
        "platformRecordSignedContent": _JWS,
        "envelopeTransferChainEntrySignedContent": _JWS,
    },
}


class TrackingRoutes:
    """Reads requests strictly; the work is the service's."""

    def __init__(self, service: TrackingService) -> None:
        """Belongs to `service`."""
        self._service = service

    def routes(self) -> Sequence[Route]:
        """The same three below each base."""
        return [route for base in BASES for route in self._below(base)]

    def _below(self, base: str) -> list[Route]:
        return [
            Route(
                "POST",
                f"{base}/records",
                self._record,
                Auth.OPEN,  # the platform's own signature is what counts
                "Record what a platform signed about a bill",
                _TAG,
                request={JSON: _BODY},
                responses={
                    201: "The record, with its receipt as far as there is one",
                    200: "The same record was taken before",
                    403: "Another platform would have to say this",
                    409: "Another record came first (`head` names it), or the state forbids it",
                    422: "A signature does not hold, or the record does not fit the bill",
                },
                max_body=2 * MAX_COMPACT,
                deadline=_DEADLINE,
                parameters=(
                    Parameter("wait", "seconds to wait for the witnesses", {"type": "integer"}),
                ),
            ),
            Route(
                "GET",
                f"{base}/bills/{{bill}}",
                self._bill,
                Auth.OPEN,  # whoever asks knows the document
                "Who holds a bill, and all its records with their proofs",
                _TAG,
                responses={200: "The bill", 404: "No record of it is kept here"},
                deadline=_DEADLINE,
            ),
            Route(
                "GET",
                f"{base}/records/{{record}}",
                self._find,
                Auth.OPEN,
                "One record with its proof",
                _TAG,
                responses={200: "The record", 404: "No such record is kept here"},
            ),
        ]

    async def _record(self, request: web.Request) -> web.Response:
        fields = Fields(await read_json(request), CODE)
        wait = query_int(request, "wait", 0, low=0, high=10)
        received, new = await self._service.record(
            compact(fields, "platformRecordSignedContent"),
            optional_compact(fields, "envelopeTransferChainEntrySignedContent"),
            wait,
        )
        return json_response(received.to_json(), 201 if new else 200)

    async def _bill(self, request: web.Request) -> web.Response:
        ebl = hex_digest(request.match_info["bill"], "bill")
        return json_response(await self._service.show(ebl))

    async def _find(self, request: web.Request) -> web.Response:
        record = hex_digest(request.match_info["record"], "record")
        return json_response((await self._service.find(record)).to_json())
