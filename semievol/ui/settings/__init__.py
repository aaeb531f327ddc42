"""The Settings page: models, the database, the reviewer's name."""
