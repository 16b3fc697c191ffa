"""The charts that the SVG macros of `templates/charts.html.j2` draw, and the Jinja environment of all
pages.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from models.evaluation.metrics import title

TEMPLATES = Path(__file__).parent / "templates"
UNDEFINED = "–"


@dataclass(frozen=True)
class Axis:
    """An axis from low to high. ticks: (position, text). A logarithmic axis holds log10 of its values."""

    label: str
    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]

    def share(self, value: float) -> float:
        """Returns the position of a value along the axis, 0 to 1."""
        return (value - self.low) / (self.high - self.low)


@dataclass(frozen=True)
class Series:
    """A line through its points, or an area down to the x axis.

    name: its name in the legend; a line without a name is not in the legend.
    style: the CSS class for colour and dashes (main, second ... eighth, chance).
    note: a word or number after the name in the legend.
    spot: the point that is marked by a dot.
    """

    name: str
    style: str
    points: tuple[tuple[float, float], ...]
    note: str = ""
    area: bool = False
    spot: tuple[float, float] | None = None


@dataclass(frozen=True)
class Mark:
    """A vertical line at x with a label."""

    x: float
    label: str


@dataclass(frozen=True)
class Chart:
    """Lines and areas over two axes. text: a description for screen readers."""

    title: str
    text: str
    x: Axis
    y: Axis
    series: tuple[Series, ...]
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True)
class Cloud:
    """The points of one style in a scatter plot; note as in Series."""

    name: str
    style: str
    points: tuple[tuple[float, float], ...]
    note: str = ""


@dataclass(frozen=True)
class Scatter:
    """A scatter plot; the first cloud is drawn on top.

    scale: if the clouds are the levels of a quantity, from the highest to the lowest, the axis of that
        quantity; a strip of its colours is then the legend.
    """

    title: str
    text: str
    x: Axis
    y: Axis
    clouds: tuple[Cloud, ...]
    scale: Axis | None = None


@dataclass(frozen=True)
class Bar:
    """A value with its interval in a dot plot."""

    name: str
    style: str
    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Dots:
    """A dot plot: values with intervals, one below the other, on one axis."""

    title: str
    text: str
    axis: Axis
    bars: tuple[Bar, ...]


@cache
def environment() -> Environment:
    """Returns the Jinja environment, with autoescape and an error for every undefined name; it keeps the
    templates that it has compiled.
    """
    jinja = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    jinja.filters |= {"figure": figure, "score": score, "count": count, "share": share_text, "words": words}
    return jinja


def axis(label: str, low: float, high: float, steps: int = 5) -> Axis:
    """Returns a linear axis from low to high with about `steps` round ticks."""
    high = high if high > low else low + 1.0
    rough = (high - low) / steps
    magnitude = 10.0 ** math.floor(math.log10(rough))
    step = next(nice * magnitude for nice in (1, 2, 5, 10) if nice * magnitude >= rough * 0.75)
    decimals = max(0, -math.floor(math.log10(step)))
    numbers = range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
    return Axis(
        label, low, high, tuple((number * step, f"{number * step:,.{decimals}f}") for number in numbers)
    )


def log_axis(label: str, low: float, high: float, steps: int = 8) -> Axis:
    """Returns a logarithmic axis between log10 values, with at most about `steps` powers of ten as ticks; a
    short axis has ticks at two and five times each power as well.
    """
    low, high = (low, high) if high > low else (low - 0.5, high + 0.5)
    every = max(1, math.ceil((high - low) / steps))
    powers = [power for power in range(math.floor(low), math.floor(high) + 1) if power % every == 0]
    values = [nice * 10.0**power for power in powers for nice in ((1, 2, 5) if high - low < 2 else (1,))]
    return Axis(
        label,
        low,
        high,
        tuple((math.log10(value), score(value)) for value in values if low <= math.log10(value) <= high),
    )


def steps(edges: Sequence[float], heights: Sequence[float]) -> tuple[tuple[float, float], ...]:
    """Returns the outline of a histogram (edges: bins + 1, heights: bins), which starts and ends on the x
    axis.
    """
    corners = [(edge, height) for i, height in enumerate(heights) for edge in (edges[i], edges[i + 1])]
    return ((edges[0], 0.0), *corners, (edges[-1], 0.0))


def figure(value: float | None) -> str:
    """Formats a metric between 0 and 1."""
    return UNDEFINED if value is None else f"{value:.3f}"


def score(value: float) -> str:
    """Formats a score or a p-value with three significant digits, in exponent form only if it is very small
    or large.
    """
    if value and not 1e-4 <= abs(value) < 1e7:
        return f"{value:.0e}".replace("e-0", "e-").replace("e+0", "e")
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def count(value: float | None) -> str:
    """Formats a number of rows."""
    return UNDEFINED if value is None else f"{value:,.0f}"


def share_text(value: float) -> str:
    """Formats a share of a whole, from 0 to 1."""
    return f"{value:.2f}" if not 0 < value < 0.1 else f"{value:.3f}" if value >= 0.001 else "< 0.001"


def words(name: str) -> str:
    """Returns the display name of a metric or scorer, beginning with a capital letter."""
    from models.checks.baselines import TITLES  # imports TensorFlow

    found = TITLES.get(name) or title(name)
    return found[:1].upper() + found[1:]
