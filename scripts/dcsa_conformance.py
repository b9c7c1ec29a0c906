#!/usr/bin/env python3
"""Runs DCSA's public conformance framework against a fresh node, role by role, and counts.

    scripts/dcsa_conformance.py [--toolkit http://localhost:8080] [--only ROLE ...] [--report FILE]

The framework (Conformance-Gateway) is built and started beside this (docs/dcsa-notes.md says how).
The node is a real one, of a test network of its own, in a temporary home; it is told of the
toolkit's certificates by its documented test switches. Every scenario of a role is run in manual
mode; exit code 1 when one of them is not conformant.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from dcsa_roles import (
    COUNTERPARTS,
    KEY_HEADER,
    PARTIES,
    ROLES,
    ConformanceError,
    Json,
    Node,
    Role,
    Sending,
    call,
    secret_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

VERSION, SUITE = "3.0.0", "Conformance"
EXCHANGE_SECONDS, STEP_SECONDS = 20.0, 0.05
MAX_STEPS = 40
CARRIER = "carriersX509SigningCertificateInPEMFormat"


# -- the framework -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scenario:
    """One scenario and what came of it. faults: what the framework found wrong with our role."""

    module: str
    name: str
    status: str = "NO_TRAFFIC"
    faults: tuple[str, ...] = ()

    @property
    def conformant(self) -> bool:
        """Whether the framework says so."""
        return self.status == "CONFORMANT"


class Toolkit:
    """The framework's control API."""

    def __init__(self, url: str) -> None:
        """url: where it listens."""
        self.url = url.rstrip("/")

    def ask(self, operation: str, **members: Any) -> Any:
        """One operation; raises ConformanceError when it is refused."""
        body = {"operation": operation, **members}
        _, answer = call("POST", f"{self.url}/conformance/webui/", body)
        if isinstance(answer, dict) and "error" in answer:
            raise ConformanceError(f"{operation}: {answer}")
        return answer

    def sandbox(self, role: str) -> Sandbox:
        """A new sandbox in which our node plays `role` in manual mode."""
        standard, tested = ROLES[role]
        name = f"{role} {uuid.uuid4()}"
        made = self.ask(
            "createSandbox",
            standardName=standard,
            versionNumber=VERSION,
            scenarioSuite=SUITE,
            testedPartyRole=tested,
            isDefaultType=True,
            sandboxName=name,
        )
        config = self.ask("getSandboxConfig", sandboxId=made["sandboxId"])
        return Sandbox(self, config, f"{tested}1")


class Sandbox:
    """One role under test. url: the API of the framework's own party in it."""

    def __init__(self, toolkit: Toolkit, config: Json, party: str) -> None:
        """config: as the framework gives it; party: what it calls our node."""
        self._toolkit, self._party = toolkit, party
        self.id, self.name = str(config["sandboxId"]), str(config["sandboxName"])
        self.url = str(config["sandboxUrl"])
        self.header = (config["sandboxAuthHeaderName"], config["sandboxAuthHeaderValue"])

    def aim(self, url: str, header: tuple[str, str] = ("", "")) -> None:
        """Tell the framework where our node is, and what to show it."""
        self._toolkit.ask(
            "updateSandboxConfig",
            sandboxId=self.id,
            sandboxName=self.name,
            externalPartyUrl=url,
            externalPartyAuthHeaderName=header[0],
            externalPartyAuthHeaderValue=header[1],
        )

    def proposed(self) -> Json:
        """The parameters that the framework proposes for its first scenario."""
        first = self._toolkit.ask("getScenarioDigests", sandboxId=self.id)[0]["scenarios"][0]["id"]
        self._scenario("startOrStopScenario", first)
        proposed: Json = self._status(first)["jsonForPromptText"]
        self._scenario("startOrStopScenario", first)
        return proposed

    def run(self, party: Role) -> Iterator[Scenario]:
        """Every scenario, one after the other."""
        for module in self._toolkit.ask("getScenarioDigests", sandboxId=self.id):
            for scenario in module["scenarios"]:
                party.begin()
                fault = ""
                try:
                    self._play(scenario["id"], party)
                except (ConformanceError, TimeoutError) as error:
                    fault = str(error)
                status, faults = self._verdict(scenario["id"])
                told = (*faults, fault) if fault else faults
                yield Scenario(module["moduleName"], scenario["name"], status, told)
                if self._status(scenario["id"])["isRunning"]:
                    self._scenario("startOrStopScenario", scenario["id"])

    def _play(self, scenario: str, party: Role) -> None:
        self._scenario("startOrStopScenario", scenario)
        for _ in range(MAX_STEPS):
            status = self._status(scenario)
            if not status["isRunning"]:
                return
            if status.get("inputRequired"):
                answer = party.parameters(self._prompt()[0])
                self._toolkit.ask(
                    "handleActionInput",
                    sandboxId=self.id,
                    scenarioId=scenario,
                    actionId=status["promptActionId"],
                    actionInput=answer,
                )
            else:
                self._step(scenario, party, status)
        raise ConformanceError(f"no end after {MAX_STEPS} steps")

    def _step(self, scenario: str, party: Role, status: Json) -> None:
        """One action, ours or the framework's own, to the end of its exchanges."""
        title = str(status["nextActions"])
        if "promptActionId" in status:
            party.act(self._prompt()[0])
        wanted = {"primaryExchange"}
        if "Response(" in title.split(" - ")[0] or "Surrender" in title.split(" - ")[0]:
            wanted |= {"secondaryExchange"}
        if "(no issuing party)" in title or "(not available for surrender)" in title:
            wanted = {"primaryExchange"}
        until = time.monotonic() + EXCHANGE_SECONDS
        while time.monotonic() < until:
            now = self._status(scenario)
            if not now["isRunning"] or now["nextActions"] != title:
                return  # The framework's own party supplied its parameters.
            if wanted <= set(self._scenario("getCurrentActionExchanges", scenario)):
                break
            party.meanwhile()
            time.sleep(STEP_SECONDS)
        self._toolkit.ask("completeCurrentAction", sandboxId=self.id, skip=False)

    def _scenario(self, operation: str, scenario: str) -> Any:
        return self._toolkit.ask(operation, sandboxId=self.id, scenarioId=scenario)

    def _status(self, scenario: str) -> Json:
        status: Json = self._scenario("getScenarioStatus", scenario)
        return status

    def _prompt(self) -> Any:
        url = f"{self._toolkit.url}/conformance/sandbox/{self.id}/party/{quote(self._party)}"
        _, prompt = call("GET", f"{url}/prompt/json", headers=dict([self.header]))
        return prompt

    def _verdict(self, scenario: str) -> tuple[str, tuple[str, ...]]:
        report = self._status(scenario).get("conformanceSubReport") or {}
        return str(report.get("status", "NO_TRAFFIC")), tuple(_faults(report))


def _faults(report: Json) -> Iterator[str]:
    """The messages of every check that is not conformant, with the check's title."""
    if report.get("status") in {"CONFORMANT", "IRRELEVANT"}:
        return
    for message in report.get("errorMessages", ()):
        yield f"{report['title']}: {message}"
    below = report.get("subReports") or ()
    if not below and not report.get("errorMessages"):
        yield f"{report['title']}: {report.get('status')}"
    for one in below:
        yield from _faults(one)


# -- the run -------------------------------------------------------------------------------------


def main() -> int:
    """Starts the node, runs the roles, prints what came of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--toolkit", default="http://localhost:8080")
    parser.add_argument("--only", nargs="*", default=list(ROLES), choices=list(ROLES))
    parser.add_argument("--report", type=Path, help="where to write all of it as JSON")
    parser.add_argument("--keep", type=Path, help="a new folder for the node's home, kept")
    asked = parser.parse_args()
    toolkit, told = Toolkit(asked.toolkit), dict[str, list[Scenario]]()
    with tempfile.TemporaryDirectory(prefix="pratique-dcsa-") as folder:
        sandboxes = {role: toolkit.sandbox(role) for role in asked.only}
        carrier = toolkit.sandbox("pint-sending").proposed()
        node = Node(asked.keep or Path(folder) / "home", carrier[CARRIER], sandboxes)
        with node.running():
            for role, sandbox in sandboxes.items():
                name = next((one for one, (of, _) in COUNTERPARTS.items() if of == role), "")
                sandbox.aim(node.url, (KEY_HEADER, secret_of(name)) if name else ("", ""))
                party = PARTIES[role](node)
                if isinstance(party, Sending):
                    party.sandbox = sandbox
                told[role] = show(role, list(sandbox.run(party)))
    if asked.report is not None:
        whole = {role: [vars(one) for one in found] for role, found in told.items()}
        asked.report.write_text(json.dumps(whole, indent=1))
    return 0 if all(one.conformant for found in told.values() for one in found) else 1


def show(role: str, found: list[Scenario]) -> list[Scenario]:
    """One line for the role, and what is wrong with each scenario that is not conformant."""
    good = sum(one.conformant for one in found)
    print(f"{role}: {good}/{len(found)} conformant", flush=True)
    for one in found:
        if not one.conformant:
            print(f"  {one.status}  {one.module}: {one.name}")
            for fault in one.faults:
                print(f"    {fault[:400]}")
    return found


if __name__ == "__main__":
    sys.exit(main())
