"""One file for each registered schedule; `base.py` says what one is."""
