"""What every operation must compute, as its definition says it: plain loops, float64, nothing shared with gpucnn."""
