"""The command line `pratique`: one module per area, each with `register(app)`."""
