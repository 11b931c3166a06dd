"""Changing weights: encoders made robust to short contexts, and speech-emotion heads."""
