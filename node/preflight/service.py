"""The preflight service: sign our rules, run another's before sailing, explain the arrival.

GET /rules (listed nodes) gives this node's signed rule set, POST /px/1/standing how balance, lane
and title of named papers stand here as of now. POST /v1/preflights runs the destination's rules,
issues the pre-advice and sends it. GET /v1/consignments/{ucr}/preflight compares the pre-advices
that are held with what is found now.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from node.documents import documents
from node.documents.orders import IssueOrder
from node.documents.signing import credential_signer
from node.exchange import sending
from node.exchange.sending import SendOrder
from node.preflight import judging, standing
from node.preflight.handlers import STANDING_PATH, PreflightHandlers
from node.verification.judging import country_of, members_of
from protocols import times
from protocols.preflight import rule_set
from protocols.preflight import standing as standings
from protocols.preflight.comparing import Difference, Given, differences
from protocols.preflight.verdicts import Line, overall, read_line, verdicts
from schemas import strict_json
from schemas.documents.pre_advice import TYPE
from schemas.errors import NotFoundError, SettingsError, UnavailableError
from schemas.fields import objects, text
from schemas.findings import Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from node.documents.documents import StoredDocument
    from node.http.routes import Route
    from node.runtime import Node
    from protocols.preflight.rule_set import RuleSet
    from protocols.preflight.standing import Standing
    from protocols.preflight.verdicts import Judgement
    from schemas.strict_json import JsonValue

RULES_PATH = "/rules"


@dataclass(frozen=True, slots=True)
class Advised:
    """A run before sailing: the rules it rests on, its lines, and the pre-advice made of them.

    standing: what the destination said beside its rules, None where it did not say
    """

    rules: RuleSet
    lines: tuple[Line, ...]
    standing: Standing | None = None
    document: StoredDocument | None = None

    @property
    def verdict(self) -> Outcome:
        """Of the whole list."""
        return overall(self.lines)


@dataclass(frozen=True, slots=True)
class Arrived:
    """A pre-advice held against now."""

    advice: StoredDocument
    advised: Outcome
    rules: RuleSet
    lines: tuple[Line, ...]
    standing: Standing
    differences: tuple[Difference, ...]


class PreflightService:
    """`node.preflight`."""

    name = "preflight"

    def __init__(self, node: Node) -> None:
        """Nothing runs in the background."""
        self._node = node
        self._handlers = PreflightHandlers(self)

    def routes(self) -> Sequence[Route]:
        """See `node.preflight.handlers`."""
        return self._handlers.routes()

    async def start(self) -> None:
        """Nothing to begin."""

    async def stop(self) -> None:
        """Nothing to end."""

    def ready(self) -> str | None:
        """Always ready."""
        return None

    def own_rules(self) -> RuleSet:
        """This node's rules now; raises SettingsError `country_not_set`, RefusedError."""
        country = country_of(self._node)
        if not country:
            raise SettingsError("country_not_set", "the node has no country")
        return rule_set.of(members_of(self._node), self._node.did, country, self._now())

    def signed_rules(self) -> str:
        """The same, signed with the credential key."""
        members = members_of(self._node)
        signer = credential_signer(self._node, members)
        return rule_set.sign(members.network, self.own_rules(), signer)

    async def rules_of(self, did: str) -> RuleSet:
        """A member's rule set, fetched now; raises as `rule_set.read`, UnavailableError."""
        members = members_of(self._node)
        if did == self._node.did:
            return self.own_rules()
        if members.node(did) is None:
            raise NotFoundError("peer_unknown", f"{did} is not in the member list")
        answer = await self._node.client.call(did, "GET", RULES_PATH)
        if answer.status != 200:
            raise UnavailableError("rule_set_unavailable", f"{did} answered {answer.status}")
        return rule_set.read(answer.body.decode("ascii", "replace"), members, did, self._now())

    async def signed_standing(self, consignment: str, named: Sequence[bytes]) -> str:
        """How these documents stand here now, signed; raises as `own_rules`."""
        found = await standing.now(self._node, self.own_rules(), consignment, named)
        members = members_of(self._node)
        signer = credential_signer(self._node, members)
        return standings.sign(members.network, found, signer)

    async def _standing_at(
        self, rules: RuleSet, consignment: str, named: Sequence[bytes]
    ) -> Standing | None:
        """What the destination says of it now; None when it does not say."""
        if rules.node == self._node.did:
            return await standing.now(self._node, rules, consignment, named)
        try:
            return await self._ask_standing(rules.node, consignment, named)
        except UnavailableError as error:
            self._node.telemetry.log.info("preflight.standing", peer=rules.node, code=error.code)
            return None

    async def _ask_standing(self, did: str, consignment: str, named: Sequence[bytes]) -> Standing:
        listed: list[JsonValue] = [each.hex() for each in named]
        body = strict_json.canonical({"consignment": consignment, "documents": listed})
        kind = {"Content-Type": "application/json"}
        answer = await self._node.client.call(did, "POST", STANDING_PATH, body, headers=kind)
        if answer.status != 200:
            raise UnavailableError("standing_unavailable", f"{did} answered {answer.status}")
        text = answer.body.decode("ascii", "replace")
        return standings.read(text, members_of(self._node), did, consignment, self._now())

    async def advise(self, consignment: str, destination: str, *, send: bool) -> Advised:
        """Run the destination's rules over what is held here; sign the pre-advice, and send it.

        Raises NotFoundError `consignment_not_here`, TooLargeError, and as `rules_of`.
        """
        stored = await self._node.store.read(judging.held, consignment)
        if not stored:
            raise NotFoundError("consignment_not_here", "no paper of this consignment is here")
        rules = await self.rules_of(destination)
        judged = await judging.judge(self._node, stored, rules.country)
        told = await self._standing_at(rules, consignment, [each.digest for each in stored])
        if told is not None:
            names = {each.digest.hex(): f"{each.type} {each.number}" for each in stored}
            told = standings.with_names(told, names)
        advised = Advised(rules, verdicts(judged, rules), told)
        payload = self._payload(consignment, advised, judged)
        order = IssueOrder(payload, TYPE.key, consignment)
        issued = (await self._node.documents.issue(order)).document
        if send and destination != self._node.did:
            to = SendOrder([destination])
            await self._node.store.write(sending.send, self._node, issued.digest, to)
        return replace(advised, document=issued)

    def _payload(self, consignment: str, run: Advised, judged: Sequence[Judgement]) -> bytes:
        node, now = self._node, self._now()
        members = members_of(node)
        entry = members.node(node.did)
        lines: list[JsonValue] = [line.to_json() for line in run.lines]
        references: list[JsonValue] = [
            {"type": one.type, "number": one.number, "digest": one.digest}
            for one in sorted(judged, key=lambda each: each.digest)
        ]
        country = country_of(node) or ""
        content: dict[str, JsonValue] = {
            "documentType": TYPE.key,
            "consignment": consignment,
            "exportCountry": country,
            "importCountry": run.rules.country,
            "destination": run.rules.node,
            "ruleSet": run.rules.digest,
            "membersVersion": members.version,
            "verdict": run.verdict.value,
            "lines": lines,
            "references": references,
            "judgedAt": times.to_text(now),
            "issueDate": now.date().isoformat(),
            "issuer": {
                "name": entry.name if entry else node.settings.node.name,
                "country": country,
                "did": node.did,
            },
        }
        if run.rules.text:
            content["ruleSetSigned"] = run.rules.text
        if run.standing is not None:
            content["standing"] = _standing_json(run.standing)
        mark = hashlib.sha256(strict_json.canonical(content)).hexdigest()[:20]
        return strict_json.canonical(content | {"number": f"PA-{now:%Y%m%d}-{mark}"})

    async def arrivals(self, consignment: str) -> list[Arrived]:
        """Every pre-advice of the consignment for this node's country, held against now.

        Raises NotFoundError `pre_advice_not_here`.
        """
        rules = self.own_rules()
        found = await self._node.store.read(documents.find, type=TYPE.key, consignment=consignment)
        kept = (None, Outcome.PASSED.value)
        advices = [one for one in found if one.revoked_at is None and one.verdict in kept]
        told = [await self._arrived(one, rules) for one in advices]
        arrived = [one for one in told if one is not None]
        if not arrived:
            raise NotFoundError("pre_advice_not_here", "no pre-advice for this node is here")
        return arrived

    async def _arrived(self, advice: StoredDocument, rules: RuleSet) -> Arrived | None:
        content = strict_json.loads_object(advice.payload)
        if text(content, "importCountry") != rules.country:
            return None
        given = given_of(content)
        consignment = advice.consignment or ""
        stored = await self._node.store.read(judging.held, consignment, given.documents)
        lines = verdicts(await judging.judge(self._node, stored, rules.country), rules)
        now = Given(lines, rules.digest, members_of(self._node).version)
        verdict = Outcome(text(content, "verdict") or Outcome.INDETERMINATE.value)
        named = [bytes.fromhex(each) for each in sorted(given.documents)]
        stands = await standing.now(self._node, rules, consignment, named)
        before = [read_line(each) for _, each in objects(content, "standing", "lines")]
        changed = differences(given, now) + standings.moved(before, stands.lines)
        return Arrived(advice, verdict, rules, lines, stands, changed)

    def _now(self) -> Any:
        return times.from_ms(self._node.clock.now_ms())


def _standing_json(found: Standing) -> dict[str, JsonValue]:
    lines: list[JsonValue] = [line.to_json() for line in found.lines]
    body: dict[str, JsonValue] = {"asOf": times.to_text(found.at), "lines": lines}
    return body | ({"signed": found.text} if found.text else {})


def given_of(content: dict[str, JsonValue]) -> Given:
    """What a pre-advice said, read from its payload, which satisfies its profile."""
    named = frozenset(text(each, "digest") or "" for _, each in objects(content, "references"))
    version = content.get("membersVersion")
    return Given(
        tuple(read_line(each) for _, each in objects(content, "lines")),
        text(content, "ruleSet") or "",
        version if isinstance(version, int) else 0,
        named,
    )
