"""What is measured: word errors, memory, and the statistics that comparisons rest on."""
