"""Request bodies: read under their limits, and the images or tensors in them."""
