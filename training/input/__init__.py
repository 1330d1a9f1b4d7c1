"""What Keras is fed: shuffled, augmented, balanced batches of decoded images."""
