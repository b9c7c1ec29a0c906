"""Lost bases: what stands on a revoked proof of origin is flagged, from node to node."""
