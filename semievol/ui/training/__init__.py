"""The Training page: settings, launching, the run in progress, its curves."""
