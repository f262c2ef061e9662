"""The one step, the loop around it, and what a run leaves behind: checkpoints, numbers, curves."""
