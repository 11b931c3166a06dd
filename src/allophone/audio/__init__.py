"""Recordings and corpora: decoding, log-mel, time compression, windows, manifests, folders and data sets."""
