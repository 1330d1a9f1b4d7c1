"""Open a model of the store, for everything that reads one: its entry, and what its metadata says."""

from __future__ import annotations

import logging
from typing import Any

from model_format.errors import FormatError
from model_format.metadata import Metadata
from training.errors import ModelError


def open_model(tag: str) -> tuple[Any, Metadata]:
    """Return BentoML's entry of the model `tag`, and its metadata. Without a version, `tag` is the newest one.

    Raises:
        ModelError: it isn't there, can't be read, was not made by this project's training, or is of a newer schema.
    """
    import bentoml
    from bentoml.exceptions import BentoMLException

    # BentoML logs what is wrong with a damaged model.yaml, in several lines, and raises it too.
    logging.getLogger("bentoml").setLevel(logging.CRITICAL)
    try:
        stored = bentoml.models.get(tag)
        return stored, Metadata.from_metadata(stored.info.metadata or {}, str(stored.tag))
    except FormatError as error:
        raise ModelError(str(error)) from error
    except (BentoMLException, ValueError) as error:
        raise ModelError(f"no model {tag} in the store; `bentoml models list` shows what there is") from error
    except Exception as error:  # a damaged model.yaml fails in any way
        raise ModelError(f"the stored model {tag} can't be read ({type(error).__name__})") from error
