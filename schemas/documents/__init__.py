"""One folder per document type. `schemas.registry` finds them; nothing else needs to know.

A type's folder holds ``profile.json`` (JSON Schema 2020-12), ``example.json`` or ``example.xml``
(fictional, valid) and a package that exports ``DOCUMENT``, a `schemas.definitions.Definition`.
"""
