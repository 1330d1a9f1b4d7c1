"""From a trained network to a store entry: calibration, ONNX and int8, golden images, the baseline for drift."""
