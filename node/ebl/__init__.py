"""The DCSA APIs beside PINT: issuance, surrender, endorsement chains, transport documents."""
