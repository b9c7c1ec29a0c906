"""`pratique bench`: what this machine allows, what we make of it, and whether that is enough.

Each group of measures is one command (entry-point group ``pratique.commands``).
"""

from __future__ import annotations

from testnet.bench.command import app

__all__ = ["app"]
