"""Tensor maps: bytes, the rules of the driver, replacement of fields, and the boxes that they name."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.emulator.tensor.boxes import extent, gather_rows, load, shared_units, store, tile_box
from backends.emulator.tensor.descriptors import Swizzle
from backends.emulator.tensor.im2col import im2col_box
from backends.emulator.tensor.swizzle import permute
from backends.emulator.tensor.tensor_map import (
    DataType,
    Fill,
    Im2col,
    Interleave,
    MapSwizzle,
    Promotion,
    TensorMap,
    TensorMapError,
)
from backends.emulator.tensor.tensor_map_bytes import BYTES, decode, encode, replace_field

MATRIX = TensorMap(DataType.FLOAT16, 0x1000, (100, 40), (208,), (64, 8), (1, 1), swizzle=MapSwizzle.B128)


@st.composite
def tensor_maps(draw: st.DrawFn) -> TensorMap:
    rank = draw(st.integers(1, 5))
    dtype = draw(
        st.sampled_from([DataType.UINT8, DataType.FLOAT16, DataType.BFLOAT16, DataType.FLOAT32, DataType.INT64])
    )
    extents = tuple(draw(st.integers(1, 9)) for _ in range(rank - 1))
    extents = (draw(st.integers(1, 80)), *extents)
    strides, stride = [], -(-extents[0] * dtype.bytes // 16) * 16
    for size in extents[1:]:
        strides.append(stride)
        stride = stride * size + draw(st.sampled_from([0, 16, 48]))
    box = (draw(st.integers(1, 4)) * 16 // dtype.bytes, *(draw(st.integers(1, 5)) for _ in extents[1:]))
    steps = tuple(draw(st.integers(1, 3)) for _ in extents)
    fill = draw(st.sampled_from(Fill)) if dtype.is_float else Fill.ZEROS
    return TensorMap(dtype, 16 * draw(st.integers(0, 9)), extents, tuple(strides), box, steps, fill=fill)


@given(tensor_maps())
def test_encoding_round_trips(tensor_map: TensorMap) -> None:
    data = encode(tensor_map)
    assert len(data) == BYTES
    assert decode(data) == tensor_map


def test_im2col_maps_round_trip() -> None:
    conv = Im2col((-1, -1), (-1, -1), 64, 128)
    tensor_map = TensorMap(DataType.FLOAT16, 0, (64, 8, 8, 2), (128, 1024, 8192), (), (1, 1, 1, 1), im2col=conv)
    assert decode(encode(tensor_map)) == tensor_map


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"extents": ()}, "rank"),
        ({"strides_bytes": ()}, "rank"),
        ({"box": (64,)}, "rank"),
        ({"element_strides": (1,)}, "rank"),
        ({"interleave": Interleave.B16}, "rank"),
        ({"address": 8}, "address-alignment"),
        ({"extents": (0, 40)}, "extent"),
        ({"strides_bytes": (200,)}, "stride-alignment"),
        ({"strides_bytes": (1 << 40,)}, "stride-range"),
        ({"box": (257 * 8, 8)}, "box-range"),
        ({"box": (64, 0)}, "box-range"),
        ({"element_strides": (1, 9)}, "element-stride"),
        ({"box": (4, 8)}, "box-alignment"),
        ({"dtype": DataType.UINT16, "fill": Fill.NAN}, "fill"),
        ({"box": (128, 8)}, "swizzle-span"),
        ({"swizzle": MapSwizzle.B32}, "swizzle-span"),
    ],
)
def test_the_rules_of_the_driver(changes: dict, rule: str) -> None:
    with pytest.raises(TensorMapError) as error:
        encode(replace(MATRIX, **changes))
    assert error.value.rule == rule


def test_interleave_of_32_bytes_needs_its_swizzle() -> None:
    shape = {"extents": (8, 8, 8), "strides_bytes": (32, 256), "box": (8, 8, 8), "element_strides": (1, 1, 1)}
    with pytest.raises(TensorMapError) as error:
        encode(replace(MATRIX, **shape, interleave=Interleave.B32, swizzle=MapSwizzle.B64))
    assert error.value.rule == "interleave-swizzle"


def test_bytes_that_are_no_map() -> None:
    for data in (bytes(range(128)), bytes(127), bytes(128)):
        with pytest.raises(TensorMapError) as error:
            decode(data)
        assert error.value.rule == "not-a-tensor-map"


def test_a_map_built_from_zeros_field_by_field() -> None:
    data = bytes(BYTES)
    fields = [("global_address", 0x1000, 0), ("rank", 1, 0), ("elemtype", 10, 0), ("interleave_layout", 0, 0)]
    fields += [("box_dim", 64, 0), ("box_dim", 8, 1), ("global_dim", 100, 0), ("global_dim", 40, 1)]
    fields += [("global_stride", 208, 0), ("element_stride", 1, 0), ("element_stride", 1, 1)]
    fields += [("swizzle_mode", 3, 0), ("fill_mode", 0, 0)]
    for field, value, ordinal in fields:
        data = replace_field(data, field, value, ordinal)
    assert decode(data) == replace(MATRIX, dtype=DataType.BFLOAT16)


def test_element_types_of_the_instruction_are_not_numbered_as_the_driver_does() -> None:
    data = encode(MATRIX)
    numbers = {6: DataType.FLOAT16, 8: DataType.FLOAT32_FTZ, 9: DataType.FLOAT64, 10: DataType.BFLOAT16}
    for number, dtype in numbers.items():
        smaller = replace_field(replace_field(data, "box_dim", 16), "elemtype", number)
        assert decode(smaller).dtype is dtype


@pytest.mark.parametrize(
    ("field", "value", "ordinal", "rule"),
    [
        ("colour", 1, 0, "replace-field"),
        ("swizzle_atomicity", 1, 0, "replace-field"),
        ("swizzle_mode", 4, 0, "replace-value"),
        ("elemtype", 13, 0, "replace-value"),
        ("rank", 5, 0, "replace-value"),
        ("box_dim", 8, 5, "replace-ordinal"),
        ("global_stride", 16, 4, "replace-ordinal"),
        ("rank", 1, 1, "replace-ordinal"),
    ],
)
def test_replacements_that_are_refused(field: str, value: int, ordinal: int, rule: str) -> None:
    with pytest.raises(TensorMapError) as error:
        replace_field(encode(MATRIX), field, value, ordinal)
    assert error.value.rule == rule


def box_by_loops(tensor_map: TensorMap, memory: bytes, coordinates: list[int]) -> bytes:
    """The box, element by element, as the driver's documentation describes it."""
    size, out = tensor_map.dtype.bytes, b""
    nan = {2: b"\xff\x7f", 4: b"\xff\xff\xff\x7f", 8: b"\xff" * 7 + b"\x7f"}.get(size, b"")
    blank = nan if tensor_map.fill is Fill.NAN else bytes(size)
    steps = (1, *tensor_map.element_strides[1:])
    ranges = [range(0, b, s) for b, s in zip(tensor_map.box, steps, strict=True)]
    for index in itertools.product(*reversed(ranges)):
        place = [c + i for c, i in zip(coordinates, reversed(index), strict=True)]
        inside = all(0 <= p < e for p, e in zip(place, tensor_map.extents, strict=True))
        offset = sum(p * s for p, s in zip(place, tensor_map.all_strides_bytes, strict=True))
        out += memory[offset : offset + size] if inside else blank
    return out


@given(tensor_maps(), st.data())
def test_boxes_against_loops(tensor_map: TensorMap, data: st.DataObject) -> None:
    size = tensor_map.all_strides_bytes[-1] * tensor_map.extents[-1] + 64
    memory = np.random.default_rng(size).integers(0, 256, size).astype(np.uint8)
    places = [[data.draw(st.integers(-4, e + 2)) for e in tensor_map.extents] for _ in range(3)]
    places[0] = [0] * tensor_map.rank
    box = tile_box(tensor_map, np.array(places, np.int32))
    tiles = load(memory, 0, tensor_map, box)
    assert tiles.shape == (3, tensor_map.box_bytes)
    for place, tile in zip(places, tiles, strict=True):
        assert tile.tobytes() == box_by_loops(tensor_map, memory.tobytes(), place)


@given(tensor_maps(), st.data())
def test_a_store_writes_exactly_what_a_load_reads(tensor_map: TensorMap, data: st.DataObject) -> None:
    size = tensor_map.all_strides_bytes[-1] * tensor_map.extents[-1] + 64
    memory = np.random.default_rng(1).integers(1, 200, size).astype(np.uint8)
    place = np.array([[data.draw(st.integers(-4, e + 2)) for e in tensor_map.extents]])
    box = tile_box(tensor_map, place)
    before, tile = memory.copy(), load(memory, 0, tensor_map, box)
    store(memory, 0, box, tile)
    assert (memory == before).all()
    store(memory, 0, box, np.full_like(tile, 255))
    low, high = extent(box)
    touched = np.flatnonzero(memory != before)
    written = int((box.valid.sum(axis=1) * (box.end_byte - box.first_byte)).sum())
    steps = tensor_map.element_strides[1:]
    if all(s == 1 for s in steps):
        assert len(touched) == written
    if len(touched):
        assert low == touched.min() and high == touched.max() + 1


def test_memory_that_does_not_hold_the_tensor_is_an_index_error() -> None:
    box = tile_box(MATRIX, np.array([[0, 38]]))
    with pytest.raises(IndexError, match="of a memory of 8000 bytes"):
        load(np.zeros(8000, np.uint8), 0, MATRIX, box)
    assert not box.complete[0] and tile_box(MATRIX, np.array([[0, 32]])).complete[0]


def test_gather4_takes_four_rows() -> None:
    tensor_map = replace(MATRIX, box=(64, 1))
    memory = np.random.default_rng(2).integers(0, 256, 208 * 40).astype(np.uint8)
    box = gather_rows(tensor_map, np.array([[8, 5, 39, 0, 40], [0, 1, 2, 3, 4]]))
    tiles = load(memory, 0, tensor_map, box).reshape(2, 4, 128)
    for i, row in enumerate((5, 39, 0)):
        assert (tiles[0, i] == memory[208 * row + 16 : 208 * row + 144]).all()
    assert not tiles[0, 3].any()
    assert (tiles[1, 3] == memory[832:960]).all()
    assert box.complete.tolist() == [False, True]
    with pytest.raises(TensorMapError, match="gather4"):
        gather_rows(MATRIX, np.zeros((1, 5), np.int64))


@pytest.mark.parametrize("kind", [MapSwizzle.B32, MapSwizzle.B64, MapSwizzle.B128])
def test_shared_units_follow_the_swizzle_of_absolute_addresses(kind: MapSwizzle) -> None:
    span = {MapSwizzle.B32: 32, MapSwizzle.B64: 64, MapSwizzle.B128: 128}[kind]
    tensor_map = replace(MATRIX, box=(span // 2, 16), swizzle=kind)
    for start in (0, 1024, 128):
        units = shared_units(tensor_map, start, tensor_map.box_bytes)
        expected = [permute(start + 16 * i, Swizzle[kind.name]) // 16 for i in range(tensor_map.box_bytes // 16)]
        assert list(units) == expected
        assert len(set(expected)) == len(expected)


def test_shared_units_without_a_swizzle_are_a_slice() -> None:
    plain = replace(MATRIX, swizzle=MapSwizzle.NONE)
    assert shared_units(plain, 256, plain.box_bytes) == slice(16, 80)


def test_shared_memory_rules() -> None:
    with pytest.raises(TensorMapError, match="no multiple of 128"):
        shared_units(MATRIX, 64, MATRIX.box_bytes)
    with pytest.raises(TensorMapError, match="B128_ATOM_64B"):
        shared_units(replace(MATRIX, swizzle=MapSwizzle.B128_ATOM_64B), 0, MATRIX.box_bytes)
    with pytest.raises(TensorMapError, match="only full spans of 128"):
        shared_units(replace(MATRIX, box=(32, 8)), 0, 512)


def test_maps_without_tile_rows_are_refused_by_name() -> None:
    conv = replace(MATRIX, im2col=Im2col((0,), (0,), 64, 8))
    with pytest.raises(TensorMapError, match="im2col"):
        tile_box(conv, np.zeros((1, 2), np.int64))
    with pytest.raises(TensorMapError, match="interleave B16"):
        tile_box(replace(MATRIX, interleave=Interleave.B16), np.zeros((1, 2), np.int64))


IMAGES = TensorMap(
    DataType.FLOAT16,
    0,
    (16, 7, 6, 3),
    (32, 224, 1344),
    (),
    (1, 1, 1, 1),
    im2col=Im2col((-1, -1), (-1, -1), 8, 20),
)


def column_by_loops(tensor_map: TensorMap, memory: np.ndarray, start: list[int], offsets: list[int]) -> np.ndarray:
    """The pixels of one column, by walking the bounding box step by step."""
    conv = tensor_map.im2col
    assert conv is not None
    (w0, h0), (w1, h1) = conv.lower_corner, conv.upper_corner
    channel, w, h, image = start
    width, height = tensor_map.extents[1:3]
    tensor = memory.view(np.uint16).reshape(tensor_map.extents[::-1])
    out = np.zeros((conv.pixels_per_column, conv.channels_per_pixel), np.uint16)
    for pixel in out:
        x, y = w + offsets[0], h + offsets[1]
        if 0 <= x < width and 0 <= y < height and image < tensor_map.extents[3]:
            part = tensor[image, y, x, channel : channel + conv.channels_per_pixel]
            pixel[: len(part)] = part
        w += tensor_map.element_strides[1]
        if w > width - 1 + w1:
            w, h = w0, h + tensor_map.element_strides[2]
        if h > height - 1 + h1:
            h, image = h0, image + 1
    return out


@pytest.mark.parametrize("steps", [(1, 1, 1, 1), (1, 2, 2, 1), (1, 2, 1, 1)])
def test_im2col_columns_against_a_walk(steps: tuple[int, ...]) -> None:
    tensor_map = replace(IMAGES, element_strides=steps)
    memory = np.random.default_rng(3).integers(0, 256, 16 * 7 * 6 * 3 * 2).astype(np.uint8)
    starts = [[0, -1, -1, 0], [8, 1, 1, 1], [12, 5, 3, 2]]
    offsets = [[0, 0], [2, 1], [2, 2]]
    box = im2col_box(tensor_map, np.array(starts), np.array(offsets))
    tiles = load(memory, 0, tensor_map, box)
    assert tiles.shape == (3, tensor_map.box_bytes)
    for tile, start, offset in zip(tiles, starts, offsets, strict=True):
        assert tile.tobytes() == column_by_loops(tensor_map, memory, start, offset).tobytes()


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"im2col": Im2col((-1,), (-1,), 8, 20)}, "rank"),
        ({"im2col": Im2col((-129, 0), (0, 0), 8, 20)}, "im2col-corner"),
        ({"im2col": Im2col((0, 0), (-7, 0), 8, 20)}, "im2col-corner"),
        ({"im2col": Im2col((0, 0), (0, 0), 264, 20)}, "im2col-channels"),
        ({"im2col": Im2col((0, 0), (0, 0), 8, 1025)}, "im2col-pixels"),
    ],
)
def test_the_rules_of_im2col(changes: dict, rule: str) -> None:
    with pytest.raises(TensorMapError) as error:
        encode(replace(IMAGES, **changes))
    assert error.value.rule == rule


def test_im2col_starts_that_the_walk_does_not_visit() -> None:
    for start in ([0, 6, 0, 0], [0, -2, 0, 0]):
        with pytest.raises(TensorMapError) as error:
            im2col_box(IMAGES, np.array([start]), np.zeros((1, 2), np.int64))
        assert error.value.rule == "im2col-start"
    with pytest.raises(TensorMapError, match="tiled tensor map"):
        im2col_box(MATRIX, np.zeros((1, 4)), np.zeros((1, 2)))


def test_promotion_changes_no_bytes_moved() -> None:
    assert decode(encode(replace(MATRIX, promotion=Promotion.L2_256B))).box_bytes == MATRIX.box_bytes
