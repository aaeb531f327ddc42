"""The Overview page: project cards."""
