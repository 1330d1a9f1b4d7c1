"""The network: its layers, its pretrained backbones, and the form that is served."""
