"""One file for each registered optimizer; `base.py` says what one is."""
