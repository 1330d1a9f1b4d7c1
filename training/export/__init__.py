"""Turn a trained network into a store entry: calibrate it, export its forms, choose golden images, publish."""
