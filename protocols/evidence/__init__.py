"""Evidence bundles: one file that proves a consignment's history offline (DESIGN §1.2)."""
