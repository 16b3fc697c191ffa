"""What the SVG macros of `templates/charts.html.j2` draw, and the Jinja environment that the pages share."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from models.evaluation.metrics import title

TEMPLATES = Path(__file__).parent / "templates"
UNDEFINED = "–"


@dataclass(frozen=True)
class Axis:
    """low, high: the ends; ticks: (position, text). A logarithmic axis holds log10 of its values."""

    label: str
    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]

    def share(self, value: float) -> float:
        """How far along the axis a value lies, 0 to 1."""
        return (value - self.low) / (self.high - self.low)


@dataclass(frozen=True)
class Series:
    """A line through its points, or an area down to the x axis.

    name: what the legend calls it; a line without one is not in the legend.
    style: the CSS class that gives colour and dashes (main, second ... seventh, chance).
    note: a word or number behind the name in the legend.
    spot: the point of it that is marked by a dot.
    """

    name: str
    style: str
    points: tuple[tuple[float, float], ...]
    note: str = ""
    area: bool = False
    spot: tuple[float, float] | None = None


@dataclass(frozen=True)
class Mark:
    """A vertical line at x with a word beside it."""

    x: float
    label: str


@dataclass(frozen=True)
class Chart:
    """Lines and areas over two axes. text: what the chart shows, for those who cannot see it."""

    title: str
    text: str
    x: Axis
    y: Axis
    series: tuple[Series, ...]
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True)
class Cloud:
    """Points of one look in a scatter; note as in Series."""

    name: str
    style: str
    points: tuple[tuple[float, float], ...]
    note: str = ""


@dataclass(frozen=True)
class Scatter:
    """Points over two axes; the first cloud is drawn on top.

    scale: where the clouds are steps of a quantity, from the highest to the lowest, the axis of that
        quantity: its strip of colours is the legend.
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
    """Values with intervals under one another on one axis."""

    title: str
    text: str
    axis: Axis
    bars: tuple[Bar, ...]


def environment() -> Environment:
    """Jinja with autoescape on and an error for every name that is not defined."""
    jinja = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    jinja.filters |= {"figure": figure, "score": score, "count": count, "percent": percent, "words": words}
    return jinja


def axis(label: str, low: float, high: float, steps: int = 5) -> Axis:
    """A linear axis with round ticks, about `steps` of them, from low to high."""
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
    """A logarithmic axis between log10 values, with a tick at every power of ten, or every second, third ...
    of many; a short axis has twice and five times the powers as well.
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
    """The outline of a histogram's bars (edges: bins + 1, heights: bins), from and to the x axis."""
    corners = [(edge, height) for i, height in enumerate(heights) for edge in (edges[i], edges[i + 1])]
    return ((edges[0], 0.0), *corners, (edges[-1], 0.0))


def figure(value: float | None) -> str:
    """A metric between 0 and 1."""
    return UNDEFINED if value is None else f"{value:.3f}"


def score(value: float) -> str:
    """A score or a p-value: three digits that mean something, without a power of ten where one can do
    without.
    """
    if value and not 1e-4 <= abs(value) < 1e7:
        return f"{value:.0e}".replace("e-0", "e-").replace("e+0", "e")
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def count(value: float | None) -> str:
    """A number of rows."""
    return UNDEFINED if value is None else f"{value:,.0f}"


def percent(value: float) -> str:
    """A share of a whole."""
    return f"{value:.0%}" if not 0 < value < 0.1 else f"{value:.1%}" if value >= 0.001 else "< 0.1%"


def words(name: str) -> str:
    """Returns the display name of a metric or scorer, beginning with a capital letter."""
    from models.checks.baselines import TITLES  # imports TensorFlow

    found = TITLES.get(name) or title(name)
    return found[:1].upper() + found[1:]
