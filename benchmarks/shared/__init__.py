"""What the benchmarks of several rooms need: where data and results lie, the stamp of a figure, its code's digest."""
