"""Balances of certificates: the register of those kept here, and what is asked of others (R23)."""
