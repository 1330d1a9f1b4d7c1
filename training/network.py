"""The convolutional network. Takes raw uint8 pixels and answers probabilities; rescaling lives inside."""

from __future__ import annotations

from typing import Any

from training.config import Config


def build(config: Config, classes: int) -> Any:
    """Return an uncompiled `keras.Model`: (B, S, S, 3) uint8 -> (B, classes) float32 softmax.

    `depth` stages of two 3x3 convolutions with batch normalisation and a 2x2 max-pooling, the number of
    filters doubling, in the manner of VGG (Simonyan & Zisserman, 2015), then global average pooling.
    """
    from keras import Input, Model, layers, regularizers

    penalty = regularizers.L2(config.l2) if config.l2 else None

    def convolution(x: Any, filters: int) -> Any:
        x = layers.Conv2D(
            filters,
            3,
            padding="same",
            use_bias=False,  # batch normalisation adds its own
            kernel_initializer="he_normal",
            kernel_regularizer=penalty,
        )(x)
        # Keras' own momentum of 0.99 needs hundreds of steps; a small folder has a few an epoch.
        x = layers.BatchNormalization(momentum=0.9)(x)
        return layers.Activation(config.activation)(x)

    image = Input((config.image_size, config.image_size, 3), dtype="uint8", name="image")
    x = layers.Rescaling(1 / 255, name="to_unit_range")(image)
    for stage in range(config.depth):
        filters = config.width * 2**stage
        x = convolution(convolution(x, filters), filters)
        if x.shape[1] > 1:
            x = layers.MaxPooling2D()(x)
        x = layers.Dropout(config.dropout / 2)(x)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(config.dropout)(x)
    if config.dense:
        x = layers.Dense(
            config.dense,
            activation=config.activation,
            kernel_initializer="he_normal",
            kernel_regularizer=penalty,
        )(x)
    probabilities = layers.Dense(classes, activation="softmax", kernel_regularizer=penalty, name="probabilities")(x)
    return Model(image, probabilities, name="image_classifier")


def compile_model(model: Any, config: Config, steps_per_epoch: int) -> None:
    """Attach loss, optimiser and learning-rate schedule; `config` must be settled by `for_images`."""
    from keras import losses, metrics, optimizers

    assert config.epochs is not None
    peak = config.peak_learning_rate
    rate: Any = peak
    if config.schedule == "cosine":
        steps = steps_per_epoch * config.epochs
        warmup = round(steps * config.warmup)
        rate = optimizers.schedules.CosineDecay(
            peak / 25 if warmup else peak,
            decay_steps=max(1, steps - warmup),
            warmup_target=peak if warmup else None,
            warmup_steps=warmup,
        )
    optimizer = {
        "adam": lambda: optimizers.Adam(rate),
        "adamw": lambda: optimizers.AdamW(rate, weight_decay=0.01),
        "sgd": lambda: optimizers.SGD(rate, momentum=0.9, nesterov=True),
    }[config.optimizer]()
    model.compile(optimizer, losses.CategoricalCrossentropy(), metrics=[metrics.CategoricalAccuracy("accuracy")])
