"""Dimensions of every speech model that allophone knows by name, one sourced row per model.

The rows are facts about published architectures, so they stand below every room: cost formulas, engines and
commands all read the same tables.
"""
