"""What a trade document *is*: strict readers, document profiles, code lists, rules, findings, errors.

Pure: no network, clock, randomness or writes. Package data is read once through importlib.resources.
"""
