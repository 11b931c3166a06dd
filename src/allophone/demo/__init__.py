"""The demo corpus: synthesised speech, from sentences to noisy and reverberant recordings."""
