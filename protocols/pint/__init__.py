"""DCSA platform interoperability (PINT 3.0.0) and the APIs around it, as pure words and checks.

Messages are frozen values with strict readers; JWS texts stay byte for byte as they were received.
`words` holds every vocabulary and how they map onto each other and onto our title machine,
`signed` and `platforms` say whose signature it is, `chain` and `envelope` are what travels, `rules`
what the transactions of a chain may do, `history` and `checks` what a receiving platform answers.
"""
