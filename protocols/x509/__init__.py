"""X.509 certification paths (RFC 5280 §6.1), their names and policies."""
