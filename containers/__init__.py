"""The scripts and recipes that build the images. No image contains it."""
