"""The images of a training: where they are stored, their pixels, classes and parts. Imports no Keras."""
