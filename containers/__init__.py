"""The scripts and recipes that build the images. Imports no other package of the project; no image contains it."""
