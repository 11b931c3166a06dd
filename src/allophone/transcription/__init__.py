"""From recordings to transcripts: windows, fallback where a pass went wrong, many recordings at once."""
