"""Preflight: the destination's signed rules run over a consignment before it sails.

`rule_set` is what a destination signs: its country's release rules as data, the agreements under
which it recognises, and the digests of the document rules it applies. `verdicts` runs a rule set
over judged documents and gives numbered lines; the same function runs at both ends. `differences`
explains, line by line, what changed between the pre-advice and the arrival.
"""
