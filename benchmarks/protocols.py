"""Which nights are judged, from which file of examples/, beside which published figures."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from partitions import NIGHT, PAIRS

from tasks.core.evaluation_result import DETECTOR
from tasks.evaluation.baseline_scores import WITHOUT_HEAD

Nights = tuple[date, date]


@dataclass(frozen=True)
class Protocol:
    """One file of examples/ and the windows of nights that it is judged on.

    data: the public set. config: the file's name without its ending. about: what is learnt from and what is
    judged, in words.
    windows: first and last night of each; more than one are reported as the mean of their figures.
    label_delay_days: after the last night, until its labels are known.
    metrics: the names of the figures, in the order in which they are shown.
    published: figures that others have published for this protocol, or for the nearest to it, by metric.
    reach: the figures to reach, by metric. unbeaten: metrics in which no baseline is to be better. doubled:
    metrics that are to be twice those of no model.
    judged: DETECTOR, or WITHOUT_HEAD, its networks alone. head: the kind of head that is added to the file,
    where it has none.
    """

    data: str
    config: str
    about: str
    metrics: tuple[str, ...]
    windows: tuple[Nights, ...] = ((NIGHT, NIGHT),)
    label_delay_days: int = 0
    published: Mapping[str, float] = field(default_factory=dict)
    reach: Mapping[str, float] = field(default_factory=dict)
    unbeaten: tuple[str, ...] = ()
    doubled: tuple[str, ...] = ()
    judged: str = DETECTOR
    head: str | None = None


def cards(config: str, about: str, first_nights: tuple[date, ...], **aims: Any) -> Protocol:
    """Weeks of card transactions, whose labels are known 7 days later."""
    weeks = tuple((first, first + timedelta(days=6)) for first in first_nights)
    return Protocol("card_transactions", config, about, CARDS, weeks, 7, **aims)


def pairs_of_classes(config: str, published: Mapping[str, float]) -> Protocol:
    """Five nights of images, each with a pair of classes of its own."""
    nights = [NIGHT + timedelta(days=2 * number) for number in range(len(PAIRS))]
    return Protocol(
        "fashion_mnist",
        config,
        (
            "800 images of one class; 200 more and 10 of another; 95% quantile of the batch; mean of five "
            "class pairs"
        ),
        ("recall", "auc_roc"),
        windows=tuple((night, night) for night in nights),
        published=published,
        unbeaten=("recall", "auc_roc"),
    )


RANKING = ("auc_roc", "average_precision")
CARDS = (*RANKING, "card_precision_at_100")
VERDICT = ("precision", "recall", "f1")
KDD = "first 80% of the normal rows; the rest and as many attacks; 99% quantile of training error"
CREDIT = "normal rows of the first 60% by time; the rest, weighted"
CREDIT_METRICS = (*RANKING, "recall_at_precision_0.60")
CREDIT_PUBLISHED = {"auc_roc": 0.92, "recall_at_precision_0.60": 0.75}  # linear, a random split of two days
WEEKS = (date(2018, 7, 25), date(2018, 8, 1), date(2018, 8, 8))

# Fraud Detection Handbook: its autoencoder, and its best supervised network, in the first week
AUTOENCODER = {"auc_roc": 0.836, "average_precision": 0.180, "card_precision_at_100": 0.217}
SUPERVISED = {"auc_roc": 0.859, "average_precision": 0.646, "card_precision_at_100": 0.280}
WITH_HEAD = {"auc_roc": 0.88, "average_precision": 0.68, "card_precision_at_100": 0.29}
FIRST, SECOND, THIRD, MEAN = (
    "2018-07-11..17; 07-25..31",
    "2018-07-18..24; 08-01..07",
    "2018-07-25..31; 08-08..14",
    "the mean of the three weeks",
)
NO_LABELS = f"{FIRST}; no label-derived features"
ALONE: dict[str, Any] = {"judged": WITHOUT_HEAD}
ADDED: dict[str, Any] = {"head": "auto"}

PROTOCOLS = (
    cards("card_transactions", FIRST, WEEKS[:1], published=AUTOENCODER, **ALONE),
    cards("card_transactions", SECOND, WEEKS[1:2], **ALONE),
    cards("card_transactions", THIRD, WEEKS[2:], **ALONE),
    cards(
        "card_transactions",
        MEAN,
        WEEKS,
        reach={"average_precision": 0.55},
        unbeaten=("auc_roc", "card_precision_at_100"),
        **ALONE,
    ),
    cards("card_transactions", FIRST, WEEKS[:1], published=SUPERVISED),
    cards("card_transactions", SECOND, WEEKS[1:2]),
    cards("card_transactions", THIRD, WEEKS[2:]),
    cards("card_transactions", MEAN, WEEKS, reach=WITH_HEAD),
    cards(
        "card_transactions_without_labels",
        NO_LABELS,
        WEEKS[:1],
        unbeaten=("average_precision", "card_precision_at_100"),
        **ALONE,
        **ADDED,
    ),
    cards(
        "card_transactions_without_labels",
        NO_LABELS,
        WEEKS[:1],
        doubled=("average_precision", "card_precision_at_100"),
        **ADDED,
    ),
    Protocol(
        "kddcup99",
        "kddcup99_vae",
        KDD,
        (*VERDICT, *RANKING),
        published={"precision": 0.99, "recall": 0.89, "f1": 0.93},
        reach={"f1": 0.985},
    ),
    Protocol("kddcup99", "kddcup99_dense", KDD, (*VERDICT, *RANKING), reach={"f1": 0.992}),
    Protocol(
        "creditcard_2013",
        "creditcard_2013_defaults",
        CREDIT,
        CREDIT_METRICS,
        published=CREDIT_PUBLISHED,
        reach={"auc_roc": 0.96, "average_precision": 0.60},
    ),
    Protocol(
        "creditcard_2013",
        "creditcard_2013_defaults",
        f"{CREDIT}, a head on the frauds of the first 60%",
        CREDIT_METRICS,
        head="boosted",
    ),
    Protocol(
        "creditcard_2013_random",
        "creditcard_2013_random",
        "normal rows of 67% drawn at random, as published; the rest, weighted",
        CREDIT_METRICS,
        published=CREDIT_PUBLISHED,
        reach={"recall_at_precision_0.60": 0.80},
    ),
    Protocol("creditcard_2013", "creditcard_2013", CREDIT, CREDIT_METRICS, published=CREDIT_PUBLISHED),
    Protocol("creditcard_2013", "creditcard_2013_linear", CREDIT, CREDIT_METRICS, published=CREDIT_PUBLISHED),
    pairs_of_classes("fashion_mnist", {"recall": 1.0}),  # a convolutional one, on digits
    pairs_of_classes("fashion_mnist_dense", {}),
    Protocol(
        "generated",
        "generated",
        "normal rows of the first 10,000; the other 1,000",
        ("accuracy", "recall", "precision", "auc_roc"),
        published={"accuracy": 0.694, "recall": 0.235},
        reach={"accuracy": 0.99, "recall": 1.0},
    ),
)
