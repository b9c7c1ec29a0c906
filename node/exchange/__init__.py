"""The exchange of one node: intake, ordered delivery, outbox, receipts (DESIGN §4, R8 to R13)."""
