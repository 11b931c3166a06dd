"""Weights and engines: from a model's name to text, one window at a time."""
