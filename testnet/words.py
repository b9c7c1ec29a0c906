"""What the demo says, in English and in Chinese (`words.json`); codes stay as they are."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources


@cache
def _words() -> dict[str, dict[str, str]]:
    text = (resources.files("testnet") / "words.json").read_text(encoding="utf-8")
    words: dict[str, dict[str, str]] = json.loads(text)
    return words


def word(key: str, lang: str, **values: object) -> str:
    """The text for `key` in `lang` (``en`` or ``zh``) with its values put in."""
    return _words()[key]["zh" if lang == "zh" else "en"].format(**values)
