"""The network: its layers, its pretrained backbones, and the form of it that is served."""
