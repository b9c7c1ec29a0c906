"""What the demo says: every text in both languages, with the same values put in."""

from __future__ import annotations

import json
from importlib import resources
from string import Formatter

from testnet.consignments import LANES
from testnet.story.scene import load_story


def _words() -> dict[str, dict[str, str]]:
    words: dict[str, dict[str, str]] = json.loads(
        (resources.files("testnet") / "words.json").read_text(encoding="utf-8")
    )
    return words


def _values(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def test_both_languages_put_in_the_same_values() -> None:
    for key, text in _words().items():
        assert set(text) == {"en", "zh"}, key
        assert _values(text["en"]) == _values(text["zh"]), key


def test_every_fault_and_every_cargo_has_its_sentence() -> None:
    faults = [fault["id"] for fault in load_story()["faults"]]
    wanted = {f"{kind}_{fault}" for fault in faults for kind in ("fault", "seen")}
    assert wanted | {f"cargo_{lane.lower()}" for lane in LANES} <= set(_words())
