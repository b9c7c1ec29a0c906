"""The control tracking registry of PINT 3.0.0, kept for platforms of other systems, and asked."""
