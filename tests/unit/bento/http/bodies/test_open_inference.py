"""Parsing and writing the bodies of the Open Inference Protocol."""

from __future__ import annotations

import contextlib
import json
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bento.errors import RequestError
from bento.http.bodies.open_inference import InferRequest, infer_response, parse_infer
from model_format.layout import OUTPUT

SIZE, MOST = 2, 4
IMAGES = np.arange(24, dtype=np.uint8).reshape(2, SIZE, SIZE, 3) * 11
FLAT = IMAGES.ravel().tolist()
BINARY = {"parameters": {"binary_data_size": 24}}


def tensor(**members: Any) -> dict[str, Any]:
    """Return an input tensor; a member given as `...` is left out."""
    whole = {"name": "image", "datatype": "UINT8", "shape": [2, SIZE, SIZE, 3], "data": FLAT} | members
    return {key: value for key, value in whole.items() if value is not ...}


def request(*inputs: dict[str, Any], **members: Any) -> bytes:
    return json.dumps({"inputs": list(inputs or (tensor(),))} | members).encode()


def parse(body: bytes, header_length: bytes | None = None) -> InferRequest:
    return parse_infer(body, header_length, SIZE, MOST)


def pixels(parsed: InferRequest) -> np.ndarray:
    assert isinstance(parsed.images, np.ndarray)
    return parsed.images


def refusal(body: bytes, header_length: bytes | None = None) -> str:
    with pytest.raises(RequestError) as caught:
        parse(body, header_length)
    assert caught.value.code == "malformed_request"
    assert caught.value.detail.isprintable()
    assert len(caught.value.detail) < 400
    return caught.value.detail


def binary(header: bytes, data: bytes = IMAGES.tobytes()) -> tuple[bytes, bytes]:
    return header + data, b"%d" % len(header)


@pytest.mark.parametrize("data", [FLAT, IMAGES.tolist()])
@pytest.mark.parametrize("indent", [None, 1, "\t"])
def test_json_data_may_be_flat_or_nested_and_spaced(data: list[Any], indent: int | str | None) -> None:
    body = json.dumps({"id": "a", "inputs": [tensor(data=data)]}, indent=indent).encode()
    parsed = parse(body)
    assert pixels(parsed).dtype == np.uint8
    assert np.array_equal(pixels(parsed), IMAGES)
    assert (parsed.id, parsed.outputs) == ("a", {OUTPUT: False})


def test_many_numbers_are_parsed_in_pieces_to_the_same_pixels() -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 150, 150, 3), np.uint8)
    for data in (images.tolist(), images.ravel().tolist()):
        body = request(tensor(shape=list(images.shape), data=data))
        assert np.array_equal(pixels(parse_infer(body, None, 150, 3)), images)


def test_binary_data_follows_the_json_and_is_not_copied() -> None:
    body, length = binary(request(tensor(data=..., **BINARY)))
    parsed = parse(body, length)
    assert np.array_equal(pixels(parsed), IMAGES)
    assert not pixels(parsed).flags.owndata
    assert parsed.id is None


def test_json_data_may_come_with_a_header_length_too() -> None:
    body = request()
    assert np.array_equal(pixels(parse(body, b"%d" % len(body))), IMAGES)


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({}, False),
        ({"parameters": {"binary_data_output": True}}, True),
        ({"outputs": []}, False),
        ({"outputs": [{"name": "probabilities"}]}, False),
        ({"outputs": [{"name": "probabilities", "parameters": {"binary_data": True}}]}, True),
        ({"outputs": [{"name": "probabilities"}], "parameters": {"binary_data_output": True}}, True),
        (
            {
                "outputs": [{"name": "probabilities", "parameters": {"binary_data": False}}],
                "parameters": {"binary_data_output": True},
            },
            False,
        ),
        ({"parameters": {"anything": "else", "priority": 3}, "unknown": [1, {}]}, False),
    ],
)
def test_the_output_is_binary_if_the_request_asks_for_it(members: dict[str, Any], expected: bool) -> None:
    assert parse(request(**members)).outputs == {OUTPUT: expected}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "valid JSON"),
        (b"\xff\xfe", "valid JSON"),
        (b"{", "valid JSON"),
        (b"[" * 100_000, "valid JSON"),
        (b'{"inputs":' * 50_000, "valid JSON"),
        (b'{"inputs": ' + b"9" * 5000 + b"}", "valid JSON"),
        (b"[]", "JSON object"),
        (b"null", "JSON object"),
        (b"{}", "no inputs"),
        (b'{"inputs": []}', "no inputs"),
        (b'{"inputs": {}}', "list of objects"),
        (b'{"inputs": [1]}', "list of objects"),
        (b'{"inputs": [{}]}', "no input missing; its input is 'image'"),
        (request(tensor(name="picture")), "no input 'picture'"),
        (request(tensor(name="x\n" * 500)), "no input 'x\\n"),
        (request(tensor(name={"a": 1})), "no input an array or object"),
        (request(tensor(), tensor()), "given 2 times"),
        (request(tensor(), tensor(name="mask")), "no input 'mask'"),
        (request(tensor(datatype="FP32")), "must be UINT8 or BYTES, not 'FP32'"),
        (request(tensor(datatype=...)), "must be UINT8 or BYTES, not missing"),
        (request(tensor(shape=...)), "list of whole numbers"),
        (request(tensor(shape="2")), "list of whole numbers"),
        (request(tensor(shape=[2.0, 2, 2, 3])), "list of whole numbers"),
        (request(tensor(shape=[True, 2, 2, 3])), "list of whole numbers"),
        (request(tensor(shape=[2, 2, 3])), "must be [n, 2, 2, 3], not [2, 2, 3]"),
        (request(tensor(shape=[2, 3, 2, 2])), "must be [n, 2, 2, 3], not [2, 3, 2, 2]"),
        (request(tensor(shape=[0, 2, 2, 3])), "not [0, 2, 2, 3]"),
        (request(tensor(shape=[-1, 2, 2, 3])), "not [-1, 2, 2, 3]"),
        (request(tensor(shape=[1] * 5000)), "1, ...]"),
        (request(tensor(shape=[10**4000, 2, 2, 3])), "at most 4"),
        (request(tensor(shape=[5, 2, 2, 3])), "5 images in one request; at most 4"),
        (request(tensor(parameters=[1])), "'parameters' must be an object"),
        (request(tensor(data=...)), "has no data"),
        (request(tensor(data=None)), "whole numbers from 0 to 255"),
        (request(tensor(data=7)), "whole numbers from 0 to 255"),
        (request(tensor(data="x")), "whole numbers from 0 to 255"),
        (request(tensor(data={"0": 1})), "whole numbers from 0 to 255"),
        (request(tensor(data=[])), "must be 24 numbers"),
        (request(tensor(data=FLAT[1:])), "must be 24 numbers"),
        (request(tensor(data=[FLAT])), "flat or nested by the shape [2, 2, 2, 3]"),
        (request(tensor(data=[*IMAGES.tolist()[:1], [[[1]]]])), "must be 24 numbers"),
        (request(tensor(data=FLAT[1:]))[:-4] + b",]}]}", "0 to 255"),
        (request(tensor(data=FLAT)).replace(b", 22", b", 2 2", 1), "0 to 255"),
        (request(tensor(data=FLAT)).replace(b", 22", b", 022", 1), "0 to 255"),
        (request(tensor(data=IMAGES.tolist())).replace(b"[[[[0", b"[0[[["), "0 to 255"),
        (request(tensor(data=FLAT, **BINARY)), "Inference-Header-Content-Length"),
        (request(tensor(data=..., parameters={"shared_memory_region": "a"})), "shared memory"),
        (request(tensor(data=...), parameters={"data": FLAT}), "must have one 'data' with an array"),
        (request(parameters={"x": float("inf")}), "valid JSON"),
        (request(parameters={"x": "y" * 2**20}), "over 1048576 bytes"),
        (request(parameters=3), "'parameters' must be an object"),
        (request(parameters={"binary_data_output": 1}), "true or false"),
        (request(outputs="probabilities"), "list of objects"),
        (request(outputs=[{"name": "logits"}]), "no output 'logits'"),
        (request(outputs=[{"name": "probabilities"}] * 2), "given 2 times"),
        (request(outputs=[{"name": "probabilities", "parameters": {"classification": 2}}]), "classification"),
        (request(outputs=[{"name": "probabilities", "parameters": {"shared_memory_region": "a"}}]), "shared memory"),
        (request(outputs=[{"name": "probabilities", "parameters": {"binary_data": "yes"}}]), "true or false"),
        (request(id=3), "id must be a string"),
    ],
)
def test_an_error_is_described_in_one_line(body: bytes, said: str) -> None:
    assert said in refusal(body)


@pytest.mark.parametrize("value", [256, -1, 1.5, 1.0, True, None, "1", {}, 10**30, float("nan"), float("inf")])
@pytest.mark.parametrize("nested", [True, False])
def test_a_value_outside_the_range_of_a_byte_is_refused(value: object, nested: bool) -> None:
    data: Any = IMAGES.tolist() if nested else [*FLAT]
    (data[1][1][1] if nested else data)[-1] = value
    assert "whole numbers from 0 to 255" in refusal(request(tensor(data=data)))


@pytest.mark.parametrize("value", [b"", b"x", b"-1", b"1.5", b"9999", b"1" * 5000, "\u0663".encode(), b" 1"])
def test_a_header_length_outside_the_body_is_refused(value: bytes) -> None:
    assert "Inference-Header-Content-Length must be from 0 to" in refusal(request(), value)


def test_a_binary_tensor_must_have_the_size_that_shape_and_parameters_give() -> None:
    header = request(tensor(data=..., **BINARY))
    assert "23 bytes follow" in refusal(*binary(header, IMAGES.tobytes()[1:]))
    assert "25 bytes follow" in refusal(*binary(header, IMAGES.tobytes() + b"x"))
    for size in (23, 24.0, -1, True, "24", 10**50, [24]):
        body = binary(request(tensor(data=..., parameters={"binary_data_size": size})))
        assert "binary_data_size is" in refusal(*body)
    assert "both data and binary_data_size" in refusal(*binary(request(tensor(**BINARY))))
    assert "has no binary_data_size" in refusal(*binary(request(tensor(data=...))))
    assert "valid JSON" in refusal(header + IMAGES.tobytes())
    assert "valid JSON" in refusal(header + IMAGES.tobytes(), b"0")


@pytest.mark.parametrize(
    "piece", [b"[],", b"[[", b"1,", b"1" * 50, b" ", b'"",', b'"data":[1],', b'{"data":[', b"NaN,", b"[1,2,3],"]
)
def test_a_hostile_body_costs_a_few_times_its_size(piece: bytes) -> None:
    body = b'{"inputs": [{"name": "image", "shape": [4, 2, 2, 3], "datatype": "UINT8", "data": ['
    body += piece * (2**22 // len(piece))
    for end in (b"", b"0]}]}"):
        tracemalloc.start()
        refusal(body + end)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 6 * len(body)


KEYS = "inputs outputs name image probabilities datatype UINT8 shape data parameters id binary_data binary_data_size"
words = st.sampled_from([*KEYS.split(), "binary_data_output"])
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | words


def branches(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(inner, max_size=4) | st.dictionaries(words | st.text(max_size=3), inner)


trees = st.recursive(scalars, branches, max_leaves=20)
entries = st.builds(lambda members: tensor(**members), st.dictionaries(words, trees | st.just(...), max_size=3))
documents = st.fixed_dictionaries({"inputs": st.lists(entries, max_size=2)}, optional={"outputs": trees, "id": trees})


@settings(max_examples=500, deadline=None, database=None)
@given(st.binary() | (trees | documents).map(json.dumps).map(str.encode), st.none() | st.binary(max_size=4))
def test_a_random_body_is_parsed_or_refused(body: bytes, header_length: bytes | None) -> None:
    # Anything but a RequestError fails the test.
    with contextlib.suppress(RequestError):
        assert pixels(parse(body, header_length)).shape[1:] == (SIZE, SIZE, 3)


@settings(max_examples=500, deadline=None, database=None)
@given(st.integers(0, 400), st.binary(min_size=1, max_size=3), st.booleans())
def test_a_valid_body_with_a_few_bytes_changed_is_read_as_json_says_or_refused(at: int, put: bytes, flat: bool) -> None:
    body = request(tensor(data=FLAT if flat else IMAGES.tolist()), id="x")
    body = body[:at] + put + body[at + len(put) :]
    try:
        parsed = parse(body)
    except RequestError:
        return
    expected = json.loads(body)["inputs"][0]["data"]
    assert pixels(parsed).ravel().tolist() == np.array(expected).ravel().tolist()


PROBABILITIES = np.array([[0.1, 0.9], [0.7, 0.3]], np.float32)


def test_an_answer_carries_its_numbers_as_json() -> None:
    # An id that looks like the place where the numbers are inserted.
    id_ = '7, "data": []'
    body, headers = infer_response(
        InferRequest(id_, IMAGES, {OUTPUT: False}), {OUTPUT: PROBABILITIES}, "image_classifier", "v1"
    )
    answer = json.loads(body)
    output = answer.pop("outputs")[0]
    assert answer == {"model_name": "image_classifier", "model_version": "v1", "id": id_}
    assert np.array_equal(np.array(output.pop("data"), np.float32).reshape(2, 2), PROBABILITIES)
    assert output == {"name": "probabilities", "datatype": "FP32", "shape": [2, 2]}
    assert headers == [(b"content-type", b"application/json")]


def test_an_answer_carries_its_numbers_as_bytes_if_asked() -> None:
    body, headers = infer_response(
        InferRequest(None, IMAGES, {OUTPUT: True}), {OUTPUT: PROBABILITIES}, "image_classifier", "v1"
    )
    fields = dict(headers)
    length = int(fields[b"inference-header-content-length"])
    assert fields[b"content-type"] == b"application/octet-stream"
    answer = json.loads(body[:length])
    assert "id" not in answer
    assert answer["outputs"][0]["parameters"] == {"binary_data_size": 16}
    assert body[length:] == PROBABILITIES.tobytes()


@pytest.mark.parametrize("as_bytes", [True, False])
def test_an_answer_that_is_not_a_number_is_an_internal_error(as_bytes: bool) -> None:
    with pytest.raises(RequestError) as caught:
        infer_response(
            InferRequest(None, IMAGES, {OUTPUT: as_bytes}), {OUTPUT: PROBABILITIES * np.float32("nan")}, "m", "1"
        )
    assert caught.value.code == "internal_error"
