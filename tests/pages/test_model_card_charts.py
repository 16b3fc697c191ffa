"""The charts of a model card."""

import itertools
import math
import re

import numpy as np
import pytest

from models.inspection.summary import FeatureLoss, Latent
from models.networks.fitting import Epoch
from tasks.pages.charts import TEMPLATES, environment
from tasks.pages.model_card_charts import (
    LEVELS,
    MAX_FEATURES,
    bars,
    best_epochs,
    by_error,
    by_label,
    losses,
    outside,
)


def history(*members: list[float]) -> tuple[Epoch, ...]:
    return tuple(
        Epoch(member, k + 1, 2 * loss, loss)
        for member, own in enumerate(members)
        for k, loss in enumerate(own)
    )


def latent(rows: int = 400, frauds: int = 20) -> Latent:
    random = np.random.default_rng(0)
    error = np.exp(random.normal(size=rows)).astype(np.float32)
    return Latent(
        5, random.normal(size=(rows, 2)), (0.6, 0.2), error, error, np.arange(rows) >= rows - frauds
    )


def test_the_kept_weights_are_those_of_the_first_lowest_validation_loss() -> None:
    best = best_epochs(history([3.0, 1.0, 1.0, 2.0], [5.0, 4.0, 0.5]))
    assert [(epoch.member, epoch.epoch) for epoch in best] == [(0, 2), (1, 3)]


def test_each_network_has_its_lines_and_a_dot_where_its_weights_were_kept() -> None:
    chart = losses(history([3.0, 2.0, 2.5], [3.0, 2.9, 2.8]))
    assert [line.name for line in chart.series] == ["Validation", "Training", "", ""]
    assert [line.spot for line in chart.series] == [(2, 2.0), None, (3, 2.8), None]
    assert chart.series[0].points == ((1, 3.0), (2, 2.0), (3, 2.5))
    assert chart.series[1].points == ((1, 6.0), (2, 4.0), (3, 5.0))
    assert chart.series[0].note == "2 networks"


def test_a_loss_that_falls_far_is_drawn_on_a_logarithmic_axis() -> None:
    near, far = losses(history([1.0, 0.9])), losses(history([1.0, 0.01]))
    assert (near.y.label, far.y.label) == ("Loss", "Loss, logarithmic")
    assert far.series[0].points[1][1] == pytest.approx(-2)
    for chart in (near, far):
        assert all(-1e-9 <= chart.y.share(y) <= 1 + 1e-9 for line in chart.series for _, y in line.points)
        assert len(chart.y.ticks) >= 3


@pytest.mark.parametrize(
    "values", [[1.18, 0.3, 0.01, 0.006], [1.0, 0.9, 0.8], [1.0, 0.0], [2.0, 1e-9], [1.0], [0.0, 0.0]]
)
@pytest.mark.parametrize("first", [0, 1])
def test_lines_and_dots_stay_inside_the_plot_area(values: list[float], first: int) -> None:
    epochs = tuple(Epoch(0, first + k, 1.1 * loss, loss) for k, loss in enumerate(values))
    drawn = str(environment().get_template("charts.html.j2").module.chart(losses(epochs)))
    left, bottom, right = map(
        float, re.search(r'<path class="axis" d="M([\d.]+) ([\d.]+)H([\d.]+)"/>', drawn).groups()
    )
    lines = re.findall(r'<path class="line \w+" data-series="\w+" d="M([^"]+)"', drawn)
    points = [tuple(map(float, point.split())) for line in lines for point in line.split("L")]
    (dot,) = re.findall(r'<circle class="dot main" cx="([-\d.]+)" cy="([-\d.]+)" r="5"/>', drawn)
    assert len(points) == 2 * len(values)
    for (x, y), radius in [*((point, 1.4) for point in points), (tuple(map(float, dot)), 5)]:
        assert left + radius <= x <= right - radius
        assert 12 + radius <= y <= bottom - radius


@pytest.mark.parametrize("epochs", [1, 2, 3, 5, 7, 40, 200])
def test_epochs_are_whole_numbers(epochs: int) -> None:
    ticks = losses(history([1.0] * epochs)).x.ticks
    assert 1 <= len(ticks) <= 10
    assert all(text == f"{position:.0f}" for position, text in ticks)


def test_the_colours_of_errors_are_steps_of_one_scale() -> None:
    rows = latent()
    chart = by_error(rows)
    errors = dict(zip(map(tuple, rows.position.tolist()), rows.error.tolist(), strict=True))
    found = [[errors[point] for point in cloud.points if point in errors] for cloud in chart.clouds]
    assert sum(len(cloud.points) for cloud in chart.clouds) == len(rows.error)
    assert [cloud.style for cloud in chart.clouds] == [f"e{level}" for level in reversed(range(LEVELS))]
    present = [errors for errors in found if errors]
    assert all(min(higher) >= max(lower) for higher, lower in itertools.pairwise(present))
    assert (chart.scale.low, chart.scale.high) == pytest.approx(
        (math.log10(rows.error.min()), math.log10(rows.error.max()))
    )


def test_every_level_has_its_colour_in_the_style() -> None:
    style = (TEMPLATES / "style.css").read_text(encoding="utf-8")
    assert all(f".e{level} " in style for level in range(LEVELS))
    assert f".e{LEVELS} " not in style


def test_frauds_are_drawn_on_top_of_the_other_rows() -> None:
    frauds, others = by_label(latent(), "Held-out rows").clouds
    assert (frauds.name, len(frauds.points), others.name, len(others.points)) == (
        "Frauds",
        20,
        "Held-out rows",
        380,
    )
    assert by_label(latent(frauds=0), "Held-out rows") is None


def test_a_distant_row_is_drawn_at_the_edge() -> None:
    rows = latent()
    rows.position[0] = (1e6, -1e6)
    chart = by_error(rows)
    assert 1 <= outside(rows) < 20
    assert chart.x.high < 10
    assert (chart.x.high, chart.y.low) in [point for cloud in chart.clouds for point in cloud.points]
    assert all(
        chart.x.low <= x <= chart.x.high and chart.y.low <= y <= chart.y.high
        for cloud in chart.clouds
        for x, y in cloud.points
    )


def test_identical_rows_have_axes() -> None:
    one = Latent(
        1, np.zeros((30, 2)), (0.0, 0.0), np.ones(30, np.float32), np.ones(30, np.float32), np.zeros(30, bool)
    )
    assert outside(one) == 0
    assert sum(len(cloud.points) for cloud in by_error(one).clouds) == 30


def test_the_longest_bar_has_full_length_and_only_the_worst_features_are_shown() -> None:
    features = [FeatureLoss(f"f{k}", 1.0, 0.5 / (k + 1), 2.0, 0.4 / (k + 1)) for k in range(MAX_FEATURES + 5)]
    shown = bars(features)
    assert [feature for feature, _, _ in shown] == features[:MAX_FEATURES]
    assert max(max(normal, fraud) for _, normal, fraud in shown) == 100
    assert [(normal, fraud) for _, normal, fraud in shown][1] == pytest.approx((50, 40))
    assert bars([FeatureLoss("alone", 1.0, 1.0, None, None)])[0][1:] == (100, 0)
