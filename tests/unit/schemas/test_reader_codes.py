"""Every code that the readers and the interop modules can raise is explained, in two languages."""

from __future__ import annotations

import inspect
import re
from types import ModuleType

import pytest

from interop import ephyto_hub
from schemas import strict_json, strict_xml
from schemas.catalogue import catalogue
from schemas.errors import FAMILIES
from schemas.sps import writer


@pytest.mark.parametrize(
    ("module", "prefix"),
    [(strict_json, "json"), (strict_xml, "xml"), (ephyto_hub, "hub"), (writer, "sps")],
)
def test_every_code_in_the_source_is_in_the_catalogue(module: ModuleType, prefix: str) -> None:
    raised = set(re.findall(rf'"({prefix}_[a-z_]+)"', inspect.getsource(module)))
    entries = catalogue()
    assert raised
    assert raised <= set(entries)
    for code in raised:
        entry = entries[code]
        assert entry.kind == "error"
        assert entry.family in FAMILIES
        assert entry.en
        assert entry.zh
        assert entry.next
        assert entry.next_zh


@pytest.mark.parametrize("area", ["readers", "phytosanitary", "ephyto-hub"])
def test_no_entry_is_left_over(area: str) -> None:
    source = "".join(
        inspect.getsource(module) for module in (strict_json, strict_xml, ephyto_hub, writer)
    )
    errors = [item for item in catalogue().values() if item.area == area and item.kind == "error"]
    assert errors
    assert [item.code for item in errors if f'"{item.code}"' not in source] == []
