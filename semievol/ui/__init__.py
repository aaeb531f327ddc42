"""The dashboard. `shell/` holds what all pages share; every other folder holds the parts of one page."""
