"""What a running node has written into its home."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_TRIES = 200


def written(folder: Path) -> dict[Path, bytes]:
    """Every file below the folder and its bytes.

    A node writes beside a file and moves that to its place: what moves while this looks is not
    missed but looked for again.
    """
    for _ in range(_TRIES):
        try:
            found = [path for path in folder.rglob("*") if path.is_file()]
            return {path: path.read_bytes() for path in found}
        except FileNotFoundError:
            continue
    raise AssertionError(f"{folder} does not come to rest")
