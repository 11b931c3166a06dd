"""What audio context, its tail and the encoder's resolution buy, and what they do to words and their times."""
