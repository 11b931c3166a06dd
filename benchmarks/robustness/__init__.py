"""Damaged recordings, run folders and policies: refused with a reason, or worse."""
