"""The witnessed log: its tree, notes, checkpoints, cosignatures, policies and receipts (C2SP)."""
