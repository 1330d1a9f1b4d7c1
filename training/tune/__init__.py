"""Search for better options with the loop of training. The test part is never read."""
