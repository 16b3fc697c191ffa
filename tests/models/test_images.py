"""Images are read exactly, unreadable ones are reported, and a night of images is like any other."""

import json
import math
import struct
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from banks import Bank
from hypothesis import given, settings
from hypothesis import strategies as st

from models.device import tf
from models.encoding import layout
from models.encoding.encoder import LARGEST, Encoder
from models.encoding.images import decode, is_readable
from models.errors import ModelError, TrainingError
from models.settings import ImageSettings
from tasks.core.masking import MASK

ROWS = 40
RANDOM = np.random.default_rng(0)
GREY = ImageSettings(column="scan", height=5, width=7)
COLOUR = ImageSettings(column="scan", height=6, width=4, channels=3)


def drawn(image: ImageSettings, rows: int = ROWS) -> np.ndarray:
    """Random images, uint8 (rows, height, width, channels)."""
    return RANDOM.integers(0, 256, (rows, *image.shape), dtype=np.uint8)


def png(pixels: np.ndarray) -> bytes:
    return bytes(tf.io.encode_png(pixels).numpy())


def jpeg(pixels: np.ndarray) -> bytes:
    return bytes(tf.io.encode_jpeg(pixels, quality=100).numpy())


def frame(*values: object, dtype: pl.DataType | None = None) -> pl.DataFrame:
    return pl.DataFrame({"scan": pl.Series(values, dtype=dtype)})


@pytest.mark.parametrize("image", [GREY, COLOUR], ids=["grey", "colour"])
@pytest.mark.parametrize("kind", ["png", "list of bytes", "list of floats", "array"])
def test_pixels_come_row_by_row_with_channels_last(image: ImageSettings, kind: str) -> None:
    pixels = drawn(image)
    flat = pixels.reshape(ROWS, -1)
    column = {
        "png": lambda: pl.Series([png(each) for each in pixels]),
        "list of bytes": lambda: pl.Series(flat.tolist(), dtype=pl.List(pl.UInt8)),
        "list of floats": lambda: pl.Series(flat.tolist(), dtype=pl.List(pl.Float64)),
        "array": lambda: pl.Series(flat.tolist(), dtype=pl.Array(pl.Int32, flat.shape[1])),
    }[kind]()
    found, readable = decode(column, image)
    assert readable.all()
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, flat)


def test_a_jpeg_is_read_as_nearly_as_jpeg_can() -> None:
    smooth = np.broadcast_to(np.linspace(0, 255, 16), (16, 16)).astype(np.uint8)[..., None]
    found, readable = decode(pl.Series([jpeg(smooth)]), ImageSettings(column="scan", height=16, width=16))
    assert readable.all()
    assert np.abs(found[0] - smooth.ravel()).max() < 8


def test_images_are_converted_to_the_channels_of_the_settings() -> None:
    red = np.full((5, 7, 3), (255, 0, 0), np.uint8)
    assert decode(pl.Series([png(red)]), GREY)[0] == pytest.approx(76)  # the luma of pure red: 0.299 * 255
    grey = np.full((6, 4, 1), 9, np.uint8)
    assert (decode(pl.Series([png(grey)]), COLOUR)[0] == 9).all()


WHOLE = png(drawn(GREY, 1)[0])
NUMBERS = [1.0] * 35
FAULTS: dict[str, tuple[object, object]] = {
    "null": (WHOLE, None),
    "no bytes": (WHOLE, b""),
    "other bytes": (WHOLE, b"no image"),
    "a torn PNG": (WHOLE, WHOLE[:-20]),
    "a PNG of another size": (WHOLE, png(drawn(COLOUR, 1)[0])),
    "a PNG turned round": (WHOLE, png(drawn(GREY, 1)[0].transpose(1, 0, 2))),
    "a torn JPEG": (jpeg(drawn(GREY, 1)[0]), jpeg(drawn(GREY, 1)[0])[:300]),
    "a JPEG of another size": (jpeg(drawn(GREY, 1)[0]), jpeg(drawn(COLOUR, 1)[0])),
    "null list": (NUMBERS, None),
    "a short list": (NUMBERS, NUMBERS[1:]),
    "an empty list": (NUMBERS, []),
    "a list with null": (NUMBERS, [*NUMBERS[1:], None]),
    "a list with NaN": (NUMBERS, [*NUMBERS[1:], math.nan]),
    "a list with infinity": (NUMBERS, [*NUMBERS[1:], -math.inf]),
    "a list beyond float32": (NUMBERS, [*NUMBERS[1:], 1e300]),
}


@pytest.mark.parametrize(("good", "bad"), FAULTS.values(), ids=FAULTS)
def test_an_unreadable_image_does_not_affect_its_neighbours(good: object, bad: object) -> None:
    column = frame(good, bad, good)["scan"]
    found, readable = decode(column, GREY)
    assert readable.tolist() == is_readable(column, GREY).tolist() == [True, False, True]
    assert (found[1] == 0).all()
    np.testing.assert_array_equal(found[0], found[2])
    assert decode(frame(bad, dtype=column.dtype)["scan"], GREY)[1].tolist() == [False]


def test_only_png_and_jpeg_are_read() -> None:
    """The decoder knows other formats too, but a bitmap has no checksum."""
    bitmap = (
        b"BM" + struct.pack("<IHHIIiiHHIIiiII", 126, 0, 0, 54, 40, 4, 6, 1, 24, 0, 72, 0, 0, 0, 0) + bytes(72)
    )
    assert tf.io.decode_image(bitmap, channels=3).shape == COLOUR.shape
    assert not decode(pl.Series([bitmap]), COLOUR)[1].any()


@settings(max_examples=50)
@given(
    contents=st.lists(
        st.one_of(st.none(), st.binary(), st.binary().map(lambda tail: WHOLE[:24] + tail)), max_size=5
    )
)
def test_no_bytes_raise_an_error(contents: list[bytes | None]) -> None:
    found, readable = decode(pl.Series(contents, dtype=pl.Binary), GREY)
    assert found.shape == (len(contents), 35)
    assert not readable.any()


def test_reading_few_at_a_time_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    column = frame(*([*NUMBERS] if k % 3 else None for k in range(20)))["scan"]
    together = is_readable(column, GREY)
    monkeypatch.setattr(layout, "CELLS", 4 * 35)
    assert layout.rows_at_once(20, 35) == 4
    assert is_readable(column, GREY).tolist() == together.tolist() == [k % 3 > 0 for k in range(20)]


@pytest.mark.parametrize("image", [GREY, COLOUR], ids=["grey", "colour"])
def test_all_pixels_share_one_mean_and_standard_deviation(image: ImageSettings) -> None:
    pixels = drawn(image)
    pixels[:, 0, 0] = 0  # in a corner that is always black
    images = frame(*map(png, pixels))
    encoder = Encoder.fit(images, [], [], image)
    encoded = encoder.encode(images)
    assert encoded.dtype == np.float32
    assert encoded.flags.c_contiguous
    np.testing.assert_allclose(
        encoded, (pixels.reshape(ROWS, -1) - pixels.mean()) / pixels.std(), rtol=1e-4, atol=1e-5
    )
    lit = pixels[:1].copy()
    lit[:, 0, 0] = 255
    assert (
        np.abs(encoder.encode(frame(png(lit[0])))).max() < 3
    )  # a light there is no stranger than one elsewhere
    assert encoder.encode(images.clear()).shape == (0, encoder.layout.width)


@pytest.mark.parametrize(
    ("image", "first", "last"), [(GREY, "scan[0,0]", "scan[4,6]"), (COLOUR, "scan[0,0,0]", "scan[5,3,2]")]
)
def test_every_pixel_is_a_feature(image: ImageSettings, first: str, last: str) -> None:
    encoder = Encoder.fit(frame(*map(png, drawn(image))), [], [], image)
    count = math.prod(image.shape)
    assert (encoder.features[0], encoder.features[-1], len(set(encoder.features))) == (first, last, count)
    assert (
        encoder.layout.numeric,
        encoder.layout.width,
        encoder.layout.outputs,
        encoder.layout.features,
    ) == (count,) * 4
    assert encoder.layout.image == image.shape
    assert encoder.layout.owners == tuple(range(count))


@pytest.mark.parametrize("unit", [255.0, 1.0])
def test_decode_gives_back_source_units(unit: float) -> None:
    values = drawn(GREY).reshape(ROWS, -1) * (unit / 255)
    images = frame(*values.tolist())
    encoder = Encoder.fit(images, [], [], GREY)
    observed, decoded = encoder.observed(images), encoder.decode(encoder.encode(images))
    assert decoded.schema == observed.schema == dict.fromkeys(encoder.features, pl.Float64)
    np.testing.assert_allclose(observed, values, rtol=1e-6)
    np.testing.assert_allclose(decoded, values, rtol=1e-4, atol=1e-5)


def test_an_encoder_of_images_survives_json() -> None:
    images = frame(*map(png, drawn(GREY)))
    encoder = Encoder.fit(images, [], [], GREY)
    again = Encoder.model_validate_json(encoder.model_dump_json())
    assert again == encoder
    assert (again.encode(images) == encoder.encode(images)).all()


def test_constant_and_extreme_images_are_encoded_as_finite_numbers() -> None:
    encoder = Encoder.fit(frame([7.0] * 35, [7.0] * 35), [], [], GREY)
    assert (encoder.encode(frame([7.0] * 35)) == 0).all()
    assert (encoder.encode(frame([3e38] * 35)) == LARGEST).all()


def test_rows_without_a_readable_image_are_refused_with_their_number() -> None:
    images = frame(*map(png, drawn(GREY)))
    encoder = Encoder.fit(images, [], [], GREY)
    broken = images.with_columns(
        scan=pl.when(pl.int_range(pl.len()) < 3).then(pl.lit(b"torn")).otherwise("scan")
    )
    with pytest.raises(ModelError, match="3 of 40 images in column scan cannot be read as 5 x 7 x 1"):
        encoder.encode(broken)
    with pytest.raises(TrainingError, match="3 of 40 images"):
        Encoder.fit(broken, [], [], GREY)
    with pytest.raises(ModelError, match="lack the image column scan"):
        encoder.encode(images.rename({"scan": "other"}))
    with pytest.raises(ModelError, match="image column scan has type String"):
        encoder.encode(frame("text"))


NIGHT = date(2026, 1, 5)
SIZE, PER_DAY, ODD = 12, 60, 4
CONFIG = """
name = "small-bank"

[source]
path = "transactions/date={date}/*.parquet"

[columns]
id = "id"
label = "is_forged"

[features]
image = { column = "scan", height = 12, width = 12, channels = 1 }

[training]
window_days = 3
label_delay_days = 1
epochs = 12
batch_size = 16

[threshold]
strategy = "batch_quantile"
value = 0.9

[warehouse]
wait_seconds = 1
"""


def cheques(day: date) -> pl.DataFrame:
    """A day of scans with lines across; the last few are forged and have lines down."""
    rng = np.random.default_rng(day.toordinal())
    lines = np.sin(np.arange(SIZE) + rng.uniform(0, 2 * math.pi, (PER_DAY, 1)))[:, :, None].repeat(
        SIZE, axis=2
    )
    forged = np.arange(PER_DAY) >= PER_DAY - ODD
    lines[forged] = lines[forged].transpose(0, 2, 1)
    pixels = (128 + 100 * lines + rng.normal(0, 5, lines.shape)).clip(0, 255).astype(np.uint8)
    ids = [f"{day:%d}-{number:03d}" for number in range(PER_DAY)]
    return pl.DataFrame({"id": ids, "scan": [png(each[..., None]) for each in pixels], "is_forged": forged})


@pytest.mark.slow
def test_a_night_of_images(tmp_path: Path) -> None:
    from flows.plain import nightly

    bank = Bank(tmp_path)
    bank.config.write_text(CONFIG + '[model]\narchitecture = "conv"\nfilters = [8, 8]\nlatent = 4\n')
    for offset in range(1, 5):
        bank.write(NIGHT - timedelta(days=offset), cheques(NIGHT - timedelta(days=offset)))
    today = cheques(NIGHT)
    torn = today["scan"][0][:100]
    bank.write(
        NIGHT,
        today.with_columns(scan=pl.when(pl.col("id") == today["id"][0]).then(pl.lit(torn)).otherwise("scan")),
    )
    night = nightly(bank.config, NIGHT)
    assert (night.rows_source, night.rows_scored, night.rows_quarantined) == (PER_DAY, PER_DAY - 1, 1)

    (bad,) = bank.table("from quarantine").to_dicts()
    assert (bad["id"], bad["rule"], bad["column_name"]) == (today["id"][0], "image", "scan")
    assert json.loads(bad["content"])["scan"] == "<100 bytes>"

    scores = bank.table("from scores order by rank")
    assert set(scores["id"].head(ODD)) == set(today["id"].tail(ODD))
    reasons = scores.filter("is_flagged").explode("reasons").unnest("reasons")
    assert reasons["feature"].str.contains(r"^scan\[\d+,\d+\]$").all()
    indices = reasons["feature"].str.extract_groups(r"(\d+),(\d+)").struct.unnest().cast(pl.Int64)
    pixels = {
        name: decode(pl.Series([scan]), ImageSettings(column="scan", height=SIZE, width=SIZE))[0][0]
        for name, scan, _ in today[1:].rows()
    }
    seen = [
        pixels[name][row * SIZE + column]
        for name, (row, column) in zip(reasons["id"], indices.rows(), strict=True)
    ]
    assert reasons["observed"].cast(pl.Float64).to_list() == seen


@pytest.mark.slow
def test_the_pixels_of_a_private_image_are_masked(tmp_path: Path) -> None:
    from flows.plain import nightly
    from flows.settings import load_settings
    from tasks.evaluation.evaluate import evaluate_window
    from tasks.evaluation.explain import explain_row
    from tasks.evaluation.settings import Window

    bank = Bank(tmp_path)
    bank.config.write_text(CONFIG + '[model]\narchitecture = "conv"\nfilters = [8, 8]\nlatent = 4\n')
    bank.configure('id = "id"', 'id = "id"\nprivate = ["scan"]')
    for offset in range(5):
        bank.write(NIGHT - timedelta(days=offset), cheques(NIGHT - timedelta(days=offset)))
    nightly(bank.config, NIGHT)
    stored = bank.table("select id, unnest(reasons, recursive := true) from scores where is_flagged")
    assert stored["feature"].str.starts_with("scan[").all()
    assert stored.select("observed", "expected").unique().rows() == [(MASK, MASK)]

    dataset = load_settings(bank.config)
    warehouse = dataset.open_warehouse()
    row = explain_row(dataset, warehouse, NIGHT, stored["id"][0], tmp_path / "explain")
    assert {(share.observed, share.expected) for share in row.shares} == {(MASK, MASK)}
    window = Window(NIGHT, NIGHT, NIGHT)
    found = evaluate_window(dataset, warehouse, dataset.evaluation, window, tmp_path / "evaluate")
    assert {(each.observed, each.expected) for alert in found.alerts for each in alert.reasons} == {
        (MASK, MASK)
    }
