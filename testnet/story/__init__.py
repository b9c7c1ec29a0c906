"""The demonstration story: actors, three consignments, and the documents they exchange.

``story.json`` is the script; `testnet.story.documents` turns it into payloads.
"""
