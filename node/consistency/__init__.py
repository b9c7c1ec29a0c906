"""The papers of a consignment held against each other: on receipt, in reports, before filing."""
