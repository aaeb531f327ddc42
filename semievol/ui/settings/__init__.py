"""The Settings page: `models`, `endpoints`, `backups`, and in `workspace` the database and the reviewer's name."""
