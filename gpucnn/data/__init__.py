"""Data sets, where their files are found, and the loader that turns them into batches."""
