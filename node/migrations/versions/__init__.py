"""One module per step of the schema, named after its revision."""
