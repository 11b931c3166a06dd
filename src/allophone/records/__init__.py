"""The frozen records that stages hand to each other: utterances, operating points, transcripts, measurements."""
