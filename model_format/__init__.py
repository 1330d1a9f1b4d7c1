"""The format of a stored model: the contract between training, which writes it, and everybody who reads it.

A model is one entry of the BentoML model store, a folder:

    model.keras             the network, with rescaling and calibration inside
    model.onnx              the same network for ONNX Runtime, float32
    model-int8.onnx         its 8-bit form, if it lost little accuracy
    golden/golden.json      what the float32 form answers to each golden image
    golden/00.png, ...      the golden images, already at the model's size
    limits.json             how novel an image may be, and which probabilities make a set of classes
    README.md               the card: what the model is, for people
    model.yaml              BentoML's own file, which holds the metadata

`layout` has the names of files and tensors, `golden` reads and writes the golden set, `limits` what is known about the
limits of answers, `card` what people read about the model, `metadata` describes it. Nobody else spells these names.
`staging` makes an entry appear in the store whole. `usage_reports` keeps the libraries that open an entry from
reporting to their makers. Needs the standard library alone.
"""
