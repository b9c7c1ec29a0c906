"""Preflight between nodes: signed rule sets, pre-advices, and what changed on arrival."""
