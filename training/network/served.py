"""The network as it is served: in float32, of Keras' own layers, with the views that it classifies."""

from __future__ import annotations

from typing import Any

from training.network import pretrained


def faster_layers() -> dict[type, Any]:
    """Return the layers of this package, each with the layer of Keras that it replaces in training."""
    from keras import layers

    from training.network.convolution import SmallMapConvolution
    from training.network.normalization import FusedBatchNormalization

    return {FusedBatchNormalization: layers.BatchNormalization, SmallMapConvolution: layers.Conv2D}


def for_serving(model: Any, mirrored: bool = False, moved: bool = False) -> Any:
    """Return `model` with the same weights, in float32 and of Keras' own layers, so that it loads without this package.

    It can classify each image by the mean of the pooled features of several views, the simplest form of test-time
    augmentation (as by Krizhevsky et al., 2012).

    Args:
        model: of `build`.
        mirrored: use the mirror image of each view too.
        moved: use the image moved by one pixel to the upper left, and to the lower right, too.
    """
    import keras
    from keras import layers, ops

    faster = faster_layers()

    def plain(layer: Any) -> Any:
        settings = layer.get_config()
        if isinstance(settings.get("dtype"), dict):
            settings["dtype"] = "float32"
        return faster.get(type(layer), type(layer)).from_config(settings)

    def views(x: Any) -> list[Any]:
        seen = [x]
        if moved:  # the border is repeated where the image moves away from it
            x = layers.Concatenate(axis=1, name="bordered_rows")([x[:, :1], x, x[:, -1:]])
            x = layers.Concatenate(axis=2, name="bordered")([x[:, :, :1], x, x[:, :, -1:]])
            seen += [x[:, 2:, 2:], x[:, :-2, :-2]]
        return seen + [view[:, :, ::-1] for view in seen] if mirrored else seen

    count = (2 if mirrored else 1) * (3 if moved else 1)

    def of_views(layer: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
        if layer.name == model.layers[1].name:
            x = layers.Concatenate(axis=0, name=pretrained.VIEWS)(views(x))
        x = layer(x, *args, **kwargs)
        if isinstance(layer, (layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D)):
            x = ops.mean(ops.reshape(x, (count, -1, x.shape[-1])), axis=0)
        return x

    copy = keras.models.clone_model(model, clone_function=plain, call_function=of_views if count > 1 else None)
    copy.set_weights(model.get_weights())
    return copy
