"""What the package's own arithmetic and its models take: time, memory, threads."""
