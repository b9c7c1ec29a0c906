"""Related resources that somebody retrieved before: nothing is fetched for a verification (R7).

A folder with `index.json`: URL → the names of the files that were retrieved for it, one for each
version of the resource. A credential may mean any of them, and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from protocols.credentials import vcdm
from protocols.fields import Fields
from schemas import strict_json
from schemas.errors import MalformedError, SettingsError, TradeError

if TYPE_CHECKING:
    from schemas.strict_json import JsonValue

MAX_BYTES = 1024 * 1024
MAX_RESOURCES = 100
MAX_VERSIONS = 10


@dataclass(frozen=True, slots=True)
class Resources:
    """URL → bodies, of each version first to last."""

    bodies: Mapping[str, tuple[bytes, ...]]

    @classmethod
    def load(cls, folder: str) -> Resources:
        """What lies in a folder; nothing for no folder. Raises SettingsError `setting_bad`."""
        if not folder:
            return cls({})
        place = Path(folder)
        try:
            index = strict_json.loads_object(_body(place / "index.json"))
            found = {
                url: tuple(_body(place / name) for name in _names(names))
                for url, names in list(index.items())[:MAX_RESOURCES]
            }
        except (OSError, TradeError) as error:
            raise SettingsError("setting_bad", f"vc_api.resources: {error}") from None
        return cls(found)

    def require(self, members: Mapping[str, JsonValue]) -> None:
        """The digests in relatedResource are those of some version of what is here.

        Raises MalformedError `credential_malformed`.
        """
        fields = Fields(members, vcdm.CODE)
        fault: MalformedError | None = None
        for at in range(max((len(each) for each in self.bodies.values()), default=1)):
            held = {url: each[min(at, len(each) - 1)] for url, each in self.bodies.items() if each}
            try:
                vcdm.require_resources(fields, held)
            except MalformedError as error:
                fault = error
            else:
                return
        if fault is not None:
            raise fault


def _names(value: JsonValue) -> list[str]:
    names = value if isinstance(value, list) else [value]
    return [Path(str(name)).name for name in names[:MAX_VERSIONS]]


def _body(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(MAX_BYTES)
