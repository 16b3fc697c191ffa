"""Writes the public sets that have no dates as dated partitions, so that each protocol is a training date and
the night after it.

    python benchmarks/partitions.py --folder /tmp/partitions        # all of them; --only kddcup99 for one

The sets lie in $NIGHTSCORE_DATA, else in ../shared/data beside the repository; the generated one needs
nothing. The files of examples/ read the partitions from $NIGHTSCORE_PARTITIONS, the folder that they were
written to.
"""

import argparse
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl

TRAINING, NIGHT = date(2000, 1, 1), date(2000, 1, 2)
PAIRS = ((0, 1), (2, 3), (4, 5), (6, 7), (8, 9))  # Fashion-MNIST: the normal class, and the other one
TRAINING_IMAGES, OTHER_IMAGES = 800, 10  # of the 1,000 of the normal class; 1% of these, of the other class
GENERATED, GENERATED_NIGHT, GENERATED_FEATURES, ANOMALIES = 10_000, 1_000, 50, 0.2

Partitions = dict[date, pl.DataFrame]


class DataMissing(Exception):
    """A public set is not where it was looked for."""


@dataclass(frozen=True)
class UndatedSet:
    """read: all rows in their order, from the folder of public data.

    split: those rows as partitions by date.
    """

    read: Callable[[Path], pl.DataFrame]
    split: Callable[[pl.DataFrame], Partitions]


def kddcup99(rows: pl.DataFrame) -> Partitions:
    """Training: the first 80% of the normal rows in file order.

    Night: the other normal rows, and as many attacks from the top.
    """
    rows = rows.select(
        pl.col("row").alias("id"),
        pl.exclude("row", "status"),
        (pl.col("status") != "normal.").cast(pl.Int8).alias("is_attack"),
    )
    normal, attacks = rows.filter(is_attack=0), rows.filter(is_attack=1)
    training = normal.height * 8 // 10
    rest = normal[training:]
    return {TRAINING: normal[:training], NIGHT: pl.concat([rest, attacks.head(rest.height)]).sort("id")}


def creditcard_2013(rows: pl.DataFrame) -> Partitions:
    """Training: the first 60% of the rows by time, frauds and all. Night: the rest."""
    ordered = rows.sort("Time", maintain_order=True).with_row_index("id")
    training = ordered.height * 6 // 10
    return {TRAINING: ordered[:training], NIGHT: ordered[training:]}


def creditcard_2013_random(rows: pl.DataFrame) -> Partitions:
    """Training: 67% of the rows, drawn by seed 0, frauds and all. Night: the rest."""
    drawn = np.random.default_rng(0).permutation(rows.height)
    numbered, training = rows.with_row_index("id"), rows.height * 67 // 100
    return {TRAINING: numbered[np.sort(drawn[:training])], NIGHT: numbered[np.sort(drawn[training:])]}


def fashion_mnist(rows: pl.DataFrame) -> Partitions:
    """One pair of classes after the other: a date with training images of the normal class, and the next one,
    its night.

    The night has the other images of the normal class, and the first ones of the other class.
    """
    partitions: Partitions = {}
    for number, (normal_class, other_class) in enumerate(PAIRS):
        normal, other = (rows.filter(label=label) for label in (normal_class, other_class))
        night = pl.concat([normal[TRAINING_IMAGES:], other[:OTHER_IMAGES]])
        for offset, images in enumerate((normal[:TRAINING_IMAGES], night)):
            is_other = (pl.col("label") != normal_class).cast(pl.Int8).alias("is_other")
            partitions[TRAINING + timedelta(days=2 * number + offset)] = images.select(
                pl.col("image_id").alias("id"), "image_png", is_other
            )
    return partitions


def generated(rows: pl.DataFrame) -> Partitions:
    """Training: the first 10,000 rows. Night: the others."""
    return {TRAINING: rows[:GENERATED], NIGHT: rows[GENERATED:]}


def generate(seed: int = 42) -> pl.DataFrame:
    """11,000 rows after the description of PyOD's generate_data (Zhao, Nasrullah & Li, 2019): id, x01..x50,
    is_anomaly.

    Normal rows are Gaussian, with one centre and one standard deviation for all features, each drawn once.
    Anomalies are uniform in the box whose half width is that centre, so that its corner lies amid the normal
    rows. They are the last 20% of the first 10,000 rows, and the last 20% of the other 1,000.
    """
    random = np.random.default_rng(seed)
    centre, deviation = int(random.integers(1, 10)), random.uniform(0.001, 1.001)
    blocks, labels = [], []
    for count in (GENERATED, GENERATED_NIGHT):
        anomalies = int(count * ANOMALIES)
        blocks.append(random.normal(centre, deviation, (count - anomalies, GENERATED_FEATURES)))
        blocks.append(random.uniform(-centre, centre, (anomalies, GENERATED_FEATURES)))
        labels.append(np.repeat([0, 1], [count - anomalies, anomalies]))
    values = pl.DataFrame(
        np.concatenate(blocks), [f"x{number:02d}" for number in range(1, GENERATED_FEATURES + 1)]
    )
    return values.with_row_index("id").with_columns(pl.Series("is_anomaly", np.concatenate(labels), pl.Int8))


def _file(name: str) -> Callable[[Path], pl.DataFrame]:
    def read(data: Path) -> pl.DataFrame:
        if not (data / name).is_file():
            raise DataMissing(
                f"there is no {data / name}; set NIGHTSCORE_DATA to the folder of public data that has {name}"
            )
        return pl.read_parquet(data / name)

    return read


SETS = {
    "kddcup99": UndatedSet(_file("kddcup99/kddcup_10_percent.parquet"), kddcup99),
    "creditcard_2013": UndatedSet(_file("creditcard_2013/day1.parquet"), creditcard_2013),
    "creditcard_2013_random": UndatedSet(_file("creditcard_2013/day1.parquet"), creditcard_2013_random),
    "fashion_mnist": UndatedSet(_file("fashion_mnist/test_10k.parquet"), fashion_mnist),
    "generated": UndatedSet(lambda data: generate(), generated),
}


def public_data() -> Path:
    """The folder of public data, whether it is there or not."""
    return Path(os.environ.get("NIGHTSCORE_DATA", Path(__file__).parents[2] / "shared" / "data")).absolute()


def write(name: str, data: Path, folder: Path) -> list[Path]:
    """Writes the partitions of a set, `folder`/name/date=YYYY-MM-DD/part-0.parquet, and gives their paths in
    order of the date.

    Raises DataMissing where `data` does not hold the set.
    """
    undated, paths = SETS[name], []
    for day, rows in undated.split(undated.read(data)).items():
        path = folder / name / f"date={day}" / "part-0.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        rows.write_parquet(path)
        paths.append(path)
    return paths


def main(names: Iterable[str], folder: Path) -> None:
    """Writes the named sets and says where they are."""
    for name in names:
        for path in write(name, public_data(), folder):
            print(path)
    print(f"export NIGHTSCORE_PARTITIONS={folder.absolute()}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--folder", type=Path, required=True, help="where to write; best outside the repository"
    )
    parser.add_argument(
        "--only", choices=SETS, action="append", help="this set alone; may be given more than once"
    )
    asked = parser.parse_args()
    try:
        main(asked.only or SETS, asked.folder)
    except DataMissing as missing:
        raise SystemExit(f"partitions: {missing}") from missing
