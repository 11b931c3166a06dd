"""Routing: which operating point each utterance deserves, before any has run or after a cheap one has."""
