"""The Settings page: `models`, `backups`, and in `workspace` the database and the reviewer's name."""
