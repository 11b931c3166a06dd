"""The run folder: what was asked (``run.json``), what was measured (one Parquet file per point), and what is in flight.

It stands below the cost, measure, frontier and routing rooms because all of them read runs and none of them may import
the sweep that writes them.
"""
