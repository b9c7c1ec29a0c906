"""Calls to addresses that stand in documents: guarded, because strangers write documents (R7)."""
