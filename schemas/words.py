"""Fixed words of tables and lines in Chinese, by the English ones that the code shows.

Codes have their sentences in the catalogue; these are headings and the small words beside values.
The data are ``schemas/data/words.json``: English → Chinese, with the same ``{names}`` in both.
"""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@cache
def words() -> Mapping[str, str]:
    """All of them, English → Chinese."""
    file = resources.files("schemas") / "data" / "words.json"
    return MappingProxyType(json.loads(file.read_text(encoding="utf-8")))


def in_language(text: str, lang: str) -> str:
    """The words in that language; those that are not among the data stay as they are."""
    return words().get(text, text) if lang == "zh" else text
