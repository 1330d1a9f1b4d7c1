"""A model of the store, found and run."""
