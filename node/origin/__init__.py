"""Origin evaluations at a node: inputs resolved to verified certificates, results signed."""
