"""Sweeps of speech recognition: every point of a plan on every utterance, by worker processes."""
