"""One organisation's *running node*: store, intake, outbox, HTTP API, command line."""
