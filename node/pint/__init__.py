"""Bills of lading from platform to platform (DCSA PINT 3.0.0): receiving and sending."""
