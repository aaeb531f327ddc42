"""The Overview page: project cards, and export and import of whole projects as archives."""
