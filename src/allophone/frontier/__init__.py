"""Which points are worth having: dominance, the frontier, the recommendation."""
