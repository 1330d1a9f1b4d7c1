"""The types of what clients send and get, of which `bento.http.routes.openapi` makes schemas.

Nothing checks values by them.
The aliases with a name of their own depend on the model; the document narrows them to the one that is served.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field, with_config
from typing_extensions import TypeAliasType, TypedDict

from bento.errors import STATUS
from model_format.layout import INPUT

ClassName = TypeAliasType("ClassName", str)
ClassNames = TypeAliasType("ClassNames", Annotated[list[str], Field(description="In label order.")])
ClassCount = TypeAliasType("ClassCount", int)
ImageSize = TypeAliasType("ImageSize", Annotated[int, Field(description="Height and width in pixels.")])
ModelName = TypeAliasType("ModelName", str)
OutputName = TypeAliasType("OutputName", str)

Positive = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]
TopK = Annotated[int, Field(ge=1, le=9999)]
Coverage = Annotated[float, Field(ge=0.5, le=0.999)]
ImageBytes = Annotated[bytes, Field(min_length=1)]


class ImageForm(TypedDict):
    """A form with one image."""

    file: bytes


class ImagesForm(TypedDict):
    """A form with several images, each a part named `file`."""

    file: Annotated[list[bytes], Field(min_length=1)]


@with_config(extra="forbid")
class Score(TypedDict):
    """One class, and its probability."""

    class_: Annotated[ClassName, Field(alias="class")]
    score: Share


Scores = TypeAliasType(
    "Scores",
    Annotated[
        list[Score], Field(min_length=1, description="The best classes, best first; only where `top_k` asked for them.")
    ],
)


@with_config(extra="forbid")
class Prediction(TypedDict):
    """The class of an image."""

    predicted_class: ClassName
    confidence_score: Share
    top_k: NotRequired[Scores]
    novelty: NotRequired[
        Annotated[Share, Field(description="Share of known images that are less novel; only where `unknown=1` asked.")]
    ]
    known: NotRequired[Annotated[bool, Field(description="Whether the novelty is below 0.99.")]]
    prediction_set: NotRequired[
        Annotated[
            list[ClassName],
            Field(min_length=1, description="Classes, best first; only where `coverage` asked for them."),
        ]
    ]


@with_config(extra="forbid")
class Explanation(TypedDict):
    """The class of an image, and how much each part of the image supports a class."""

    predicted_class: ClassName
    confidence_score: Share
    class_: Annotated[ClassName, Field(alias="class", description="The class that is explained.")]
    score: Annotated[Share, Field(description="The probability of that class.")]
    grid: Annotated[
        list[Annotated[list[Share], Field(min_length=1)]],
        Field(min_length=1, description="Rows of the map, top row first; 1 is the strongest."),
    ]
    overlay: Annotated[
        str,
        Field(
            description="The image as the model gets it, with the map over it.",
            json_schema_extra={"contentEncoding": "base64", "contentMediaType": "image/png"},
        ),
    ]


class Problem(TypedDict):
    """Problem details (RFC 9457)."""

    type: Annotated[str, Field(examples=["urn:image-classifier:corrupt_image"], json_schema_extra={"format": "uri"})]
    title: str
    status: Annotated[int, Field(json_schema_extra={"enum": sorted(set(STATUS.values()))})]
    code: Annotated[str, Field(description="The stable name of the error.", json_schema_extra={"enum": [*STATUS]})]
    detail: Annotated[str, Field(description="What went wrong, for people.")]


class OpenInferenceProblem(Problem):
    """Problem details, with the member that clients of the Open Inference Protocol read."""

    error: Annotated[str, Field(description="The same as `detail`.")]


class Version(TypedDict):
    """The served model, and the versions of the libraries that its answers depend on."""

    model: Annotated[str, Field(description="Tag in the model store.")]
    digest: Annotated[str, Field(pattern="^[0-9a-f]{64}$", description="SHA-256 of the served file.")]
    runtime: str
    image_size: ImageSize
    resize: Annotated[
        Literal["stretch", "letterbox", "crop"], Field(description="What happens to an image that is no square.")
    ]
    class_names: ClassNames
    image_policy: Annotated[int, Field(description="Version of the rules by which images are decoded.")]
    limits: Annotated[bool, Field(description="Whether `unknown` and `coverage` have an answer.")]
    versions: dict[str, str]


class Live(TypedDict):
    """The server is alive."""

    live: Literal[True]


class Ready(Live):
    """The server is ready."""

    ready: Literal[True]


class ModelReady(TypedDict):
    """The model is ready."""

    name: str
    ready: Literal[True]


class ServerMetadata(TypedDict):
    """The server, and the extensions of the protocol that it knows."""

    name: str
    version: str
    extensions: list[str]


class InputMetadata(TypedDict):
    """The tensor that the model takes."""

    name: Annotated[str, Field(json_schema_extra={"const": INPUT})]
    datatype: Literal["UINT8"]
    shape: tuple[Literal[-1], ImageSize, ImageSize, Literal[3]]


class OutputMetadata(TypedDict):
    """A tensor that the model answers: the probabilities, or the novelty, which must be asked for."""

    name: OutputName
    datatype: Literal["FP32"]
    shape: tuple[Literal[-1], ClassCount] | tuple[Literal[-1]]


class ModelMetadata(TypedDict):
    """The model, and the tensors it takes and answers."""

    name: str
    versions: list[str]
    platform: str
    inputs: Annotated[list[InputMetadata], Field(min_length=1, max_length=1)]
    outputs: Annotated[list[OutputMetadata], Field(min_length=1, max_length=2)]


class InputParameters(TypedDict):
    """Parameters of a tensor that is sent."""

    binary_data_size: NotRequired[
        Annotated[Positive, Field(description="Bytes of the tensor, which follow the JSON; then there is no `data`.")]
    ]


class InferInput(TypedDict):
    """A tensor of RGB images, (n, size, size, 3)."""

    name: Annotated[str, Field(json_schema_extra={"const": INPUT})]
    datatype: Literal["UINT8"]
    shape: tuple[Positive, ImageSize, ImageSize, Literal[3]]
    parameters: NotRequired[InputParameters]
    data: NotRequired[
        Annotated[
            list[Annotated[int, Field(ge=0, le=255)] | list[Any]],
            Field(
                min_length=1,
                description="Whole numbers from 0 to 255, as many as the shape says, flat or nested by the shape.",
            ),
        ]
    ]


class EncodedInput(TypedDict):
    """A tensor of encoded images, (n) or (n, 1), such as JPEGs."""

    name: Annotated[str, Field(json_schema_extra={"const": INPUT})]
    datatype: Literal["BYTES"]
    shape: tuple[Positive] | tuple[Positive, Literal[1]]
    parameters: NotRequired[InputParameters]
    data: NotRequired[Annotated[list[str], Field(min_length=1, description="The images in base64.")]]


@with_config(json_schema_extra={"not": {"required": ["classification"]}})
class OutputParameters(TypedDict):
    """Parameters of a tensor that is wanted; the classification extension is not supported."""

    binary_data: NotRequired[bool]


class WantedOutput(TypedDict):
    """A tensor that is wanted."""

    name: OutputName
    parameters: NotRequired[OutputParameters]


class RequestParameters(TypedDict):
    """Parameters of a whole request."""

    binary_data_output: NotRequired[bool]


class InferRequest(TypedDict):
    """Images to classify."""

    id: NotRequired[Annotated[str, Field(description="Comes back in the answer.")]]
    parameters: NotRequired[RequestParameters]
    inputs: Annotated[list[InferInput | EncodedInput], Field(min_length=1, max_length=1)]
    outputs: NotRequired[Annotated[list[WantedOutput], Field(max_length=1)]]


class AnsweredParameters(TypedDict):
    """Parameters of a tensor that is answered as bytes."""

    binary_data_size: int


class InferOutput(TypedDict):
    """Probabilities, (n, classes), or novelty, (n)."""

    name: OutputName
    datatype: Literal["FP32"]
    shape: tuple[Positive, ClassCount] | tuple[Positive]
    parameters: NotRequired[AnsweredParameters]
    data: NotRequired[list[Share]]


class InferResponse(TypedDict):
    """The probabilities of each image, and its novelty if it was asked for."""

    model_name: str
    model_version: str
    id: NotRequired[str]
    outputs: Annotated[list[InferOutput], Field(min_length=1, max_length=2)]
