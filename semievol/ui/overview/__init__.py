"""The Overview page: project cards, and whole projects as archives."""
