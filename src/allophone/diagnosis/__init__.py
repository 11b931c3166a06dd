"""Diagnosis of a run: which knob binds, which is wasted, what to do next."""
