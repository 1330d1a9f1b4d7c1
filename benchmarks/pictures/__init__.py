"""The pictures that the README shows, made from the real programs."""
