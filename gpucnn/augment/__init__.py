"""One file for each registered augment; `base.py` says what one is."""
