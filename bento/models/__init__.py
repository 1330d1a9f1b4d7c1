"""Find a model in the store, and run it."""
