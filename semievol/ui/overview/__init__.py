"""The Overview page: project cards, and accuracy over the rounds."""
