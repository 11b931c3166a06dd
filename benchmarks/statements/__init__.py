"""Whether what is stated with a probability holds: on simulated corpora, and on halves of real runs."""
