"""Statements that hold with a stated probability on new data, however many points were looked at."""
