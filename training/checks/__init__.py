"""Data checks: find problems with images, labels and names. They change no image."""
