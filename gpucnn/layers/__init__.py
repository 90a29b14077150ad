"""One file for each registered layer; `base.py` says what one is."""
