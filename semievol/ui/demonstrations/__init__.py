"""The Demonstrations page."""
