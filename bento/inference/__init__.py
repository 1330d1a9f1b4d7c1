"""From encoded images to probabilities: admission, batching, the model, the answer cache, explanations."""
