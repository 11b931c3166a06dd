"""Corpora: manifests, folders and data sets read into utterances; labels, speakers and splits."""
