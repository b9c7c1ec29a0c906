"""What a trade document *is*: strict readers, profiles, code lists, rules, findings, errors.

Pure: no network, clock, randomness or writes. Package data is read through importlib.resources.
"""
