"""One file for each registered losse; `base.py` says what one is."""
