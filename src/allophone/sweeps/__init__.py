"""From a corpus and a search space to measurements: plans, the run loop, worker processes."""
