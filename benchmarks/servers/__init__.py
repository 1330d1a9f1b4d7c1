"""The servers that `benchmarks.serving` compares, what they serve, and the verdict on their figures."""
