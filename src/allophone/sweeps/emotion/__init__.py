"""Sweeps of emotion recognition: every point trained and tested in every fold."""
