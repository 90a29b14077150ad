"""Which plans are fastest on a device: measured, kept on disk, and chosen by a run, which remembers them.

clock      times of work on a device, from replays of CUDA graphs
tuner      of each task's plans, those with the best estimates are timed in turns; medians decide
cache      what was measured, in the user's cache folder
choices    the plans of a run: those of its checkpoint, those measured, or those with the best estimates
"""
