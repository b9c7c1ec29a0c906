"""The release of a container: facts, conditions, decision, order, pick-up and gate (DESIGN §7)."""
