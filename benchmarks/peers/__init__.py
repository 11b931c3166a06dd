"""The same weights in other libraries: word errors, speed and memory side by side."""
