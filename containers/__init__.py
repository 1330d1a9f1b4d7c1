"""The scripts and recipes that build the images. Imports `commandline` alone; no image contains it."""
