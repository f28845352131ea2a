"""Clients: one folder each, with a `client.toml` that says how it is installed and started."""
