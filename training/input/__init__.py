"""The input of Keras: shuffled, augmented, balanced batches of decoded images."""
