"""A decision from few human transcripts: which utterances to transcribe, and what that says of every point."""
