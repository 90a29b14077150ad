"""What several tests check in the same way: arrays against an oracle's, and gradients against differences."""
