"""Sweeps: the star on real speech, searches against the whole grid, and what measuring itself costs."""
