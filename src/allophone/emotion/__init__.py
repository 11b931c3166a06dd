"""Emotion recognition: recognisers trained, saved, run, and cascaded."""
