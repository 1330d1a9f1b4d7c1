"""Find out how large the frames are that a decoder makes of AV1 or HEVC data, without decoding them.

The size that the file around the data declares may be smaller.
https://aomediacodec.github.io/av1-spec/, https://www.itu.int/rec/T-REC-H.265
"""

from __future__ import annotations

from collections.abc import Iterator

from imaging.errors import CorruptImage

_MAX_PARTS = 200
"""Most units of one item's data. Encoders write a few; each is looked at in Python."""

_MAX_HEADER = 512
"""Bytes of a header that are read at most."""


class _Bits:
    """Reads a header bit by bit."""

    def __init__(self, data: bytes) -> None:
        data = data[:_MAX_HEADER]
        self._bits, self._left = int.from_bytes(data, "big"), 8 * len(data)

    def take(self, count: int = 1) -> int:
        """Return the next bits as a number."""
        self._left -= count
        if self._left < 0:
            raise CorruptImage("a header of the image's data is truncated")
        return self._bits >> self._left & (1 << count) - 1

    def golomb(self) -> int:
        """Return the next number of variable length: `uvlc()` of AV1, `ue(v)` of HEVC."""
        zeros = 0
        while not self.take():
            zeros += 1
        return (1 << zeros) - 1 + self.take(zeros)


class _Sequence:
    """What a sequence header of AV1 says of the frames after it."""

    def __init__(self, data: bytes) -> None:
        bits = _Bits(data)
        bits.take(4)  # seq_profile, still_picture
        self.reduced = bool(bits.take())
        self.time_bits = 0
        if self.reduced:
            bits.take(5)  # seq_level_idx
        else:
            self._read_operating_points(bits)
        wide, high = bits.take(4) + 1, bits.take(4) + 1
        self.size = bits.take(wide) + 1, bits.take(high) + 1
        self.largest_size = 1 << wide, 1 << high
        self.id_bits = self.screen_content = self.integer_motion = 0
        if not self.reduced:
            self._read_tools(bits)

    def _read_operating_points(self, bits: _Bits) -> None:
        delay_bits = 0
        if bits.take():  # timing_info_present_flag
            bits.take(64)
            equal = bits.take()
            if equal:
                bits.golomb()
            if bits.take():  # decoder_model_info_present_flag
                delay_bits = bits.take(5) + 1
                bits.take(37)
                time_bits = bits.take(5) + 1
                self.time_bits = 0 if equal else time_bits
        display_delay = bits.take()
        for _ in range(bits.take(5) + 1):
            bits.take(12)  # operating_point_idc
            if bits.take(5) > 7:
                bits.take()  # seq_tier
            if delay_bits and bits.take():
                bits.take(2 * delay_bits + 1)
            if display_delay and bits.take():
                bits.take(4)

    def _read_tools(self, bits: _Bits) -> None:
        if bits.take():  # frame_id_numbers_present_flag
            self.id_bits = bits.take(4) + 2 + bits.take(3) + 1
        bits.take(7)  # use_128x128_superblock to enable_dual_filter
        if bits.take():  # enable_order_hint
            bits.take(2)
        self.screen_content = 2 if bits.take() else bits.take()
        if self.screen_content:
            self.integer_motion = 2 if bits.take() else bits.take()

    def frame_pixels(self, data: bytes) -> int:
        """Return the most pixels of the frame whose header `data` begins with."""
        width, height = self.largest_size if self._may_have_its_own_size(data) else self.size
        return width * height

    def _may_have_its_own_size(self, data: bytes) -> bool:
        if self.reduced:
            return False
        bits = _Bits(data)
        if bits.take():  # show_existing_frame
            return False
        kind, shown = bits.take(2), bits.take()
        bits.take(self.time_bits if shown else 1)
        if kind != 3 and not (kind == 0 and shown):
            bits.take()  # error_resilient_mode
        bits.take()  # disable_cdf_update
        screen_content = bits.take() if self.screen_content == 2 else self.screen_content
        if screen_content and self.integer_motion == 2:
            bits.take()  # force_integer_mv
        bits.take(self.id_bits)
        return kind == 3 or bool(bits.take())


_SEQUENCE_HEADER, _FRAME_HEADER, _FRAME, _REDUNDANT_HEADER, _TILE_LIST = 1, 3, 6, 7, 8


def av1_frames(data: bytes) -> list[int]:
    """Return the most pixels of each frame in the data of an AV1 item.

    Raises:
        CorruptImage: the data isn't as the specification demands, or has more than 200 units.
        IndexError: it is truncated.
    """
    frames, sequence, position = list[int](), None, 0
    for _ in range(_MAX_PARTS):
        if position >= len(data):
            return frames
        head = data[position]
        position += 2 if head & 4 else 1
        length = len(data) - position
        if head & 2:
            length, position = _leb128(data, position)
        unit, kind = data[position : position + min(length, _MAX_HEADER)], head >> 3 & 15
        position += length
        if position > len(data) or kind in (_REDUNDANT_HEADER, _TILE_LIST):
            raise CorruptImage("the image's AV1 data is invalid")
        if kind == _SEQUENCE_HEADER:
            sequence = _Sequence(unit)
        elif kind in (_FRAME_HEADER, _FRAME):
            if sequence is None:
                raise CorruptImage("the image's AV1 data has a frame before its sequence header")
            frames.append(sequence.frame_pixels(unit))
    raise CorruptImage(f"the image's AV1 data has more than {_MAX_PARTS} units")


def _leb128(data: bytes, position: int) -> tuple[int, int]:
    value = 0
    for index in range(8):
        byte = data[position + index]
        value |= (byte & 127) << 7 * index
        if byte < 128:
            return value, position + index + 1
    raise CorruptImage("the image's AV1 data has an invalid length")


_VIDEO_END, _PARAMETERS, _SEQUENCE_PARAMETERS = 32, frozenset({32, 33, 34}), 33


def hevc_frames(configuration: bytes, data: bytes) -> list[int]:
    """Return the most pixels of each frame in the data of an HEVC item.

    Args:
        configuration: the item's `hvcC`, which holds the parameter sets.
        data: the item's units, each after its length.

    Raises:
        CorruptImage: the data isn't as the specification demands, or has more than 200 units.
        IndexError, ValueError: it is truncated, or there is no size.
    """
    sets = list(_parameter_sets(configuration))
    if any(each[0] >> 1 & 63 < _VIDEO_END for each in sets):
        raise CorruptImage("the image's configuration holds pixels")
    pixels = max(_sequence_pixels(each) for each in sets if each[0] >> 1 & 63 == _SEQUENCE_PARAMETERS)
    frames = list[int]()
    for unit in _units(data, (configuration[21] & 3) + 1):
        kind = unit[0] >> 1 & 63
        if kind in _PARAMETERS:
            raise CorruptImage("the image's data changes its own size")
        if kind < _VIDEO_END and unit[2] & 128:  # first_slice_segment_in_pic_flag
            frames.append(pixels)
    return frames


def _units(data: bytes, wide: int) -> Iterator[bytes]:
    """Yield each unit after its length of `wide` bytes, as far as its header reaches."""
    position = 0
    for _ in range(_MAX_PARTS):
        if position == len(data):
            return
        start = position + wide
        position = start + int.from_bytes(data[position:start], "big")
        if position > len(data):
            raise CorruptImage("the image's HEVC data is truncated")
        yield data[start : min(position, start + _MAX_HEADER)]
    raise CorruptImage(f"the image's HEVC data has more than {_MAX_PARTS} units")


def _parameter_sets(configuration: bytes) -> Iterator[bytes]:
    position = 23
    for _ in range(configuration[22]):
        count = int.from_bytes(configuration[position + 1 : position + 3], "big")
        position += 3
        for _ in range(count):
            start = position + 2
            position = start + int.from_bytes(configuration[position:start], "big")
            if position > len(configuration):
                raise CorruptImage("the image's configuration is truncated")
            yield configuration[start:position]


def _sequence_pixels(unit: bytes) -> int:
    # A byte 3 after two zeros isn't part of the header.
    bits = _Bits(unit[2:].replace(b"\0\0\3", b"\0\0"))
    bits.take(4)  # sps_video_parameter_set_id
    layers = bits.take(3)
    bits.take(97)  # temporal nesting, general profile and level
    if layers:
        present = [(bits.take(), bits.take()) for _ in range(8)][:layers]
        for profile, level in present:
            bits.take(88 * profile + 8 * level)
    bits.golomb()  # sps_seq_parameter_set_id
    if bits.golomb() == 3:  # chroma_format_idc
        bits.take()
    return bits.golomb() * bits.golomb()
