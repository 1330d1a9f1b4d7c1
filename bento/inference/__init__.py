"""From encoded images to probabilities: admission, batching, the model, answers seen before, explanations."""
