"""What a model card says in sentences: the version in one, its settings, and how each figure was measured."""

from models.detector.detector import Detector
from models.encoding.encoder import Encoder
from models.inspection.summary import Latent
from models.settings import USED_BY
from tasks.core.references import Version
from tasks.pages.charts import count, percent
from tasks.pages.model_card_charts import best_epochs, outside
from tasks.pages.model_card_facts import CardFacts
from tasks.pages.report_text import long_date

KINDS = {"dense": "A dense", "linear": "A linear", "vae": "A variational", "conv": "A convolutional"}
SCORES = {
    "error": (
        "The error itself: the mean over the features of the squared residual in encoded units; of a "
        "category, its cross-entropy."
    ),
    "mae": "The mean over the features of the absolute residual, in encoded units.",
    "whitened": (
        "The squared Mahalanobis distance of the residual: its squared length once the "
        "correlations of normal residuals are gone."
    ),
    "reconstruction_probability": (
        "The negative log probability of the row given its latent Gaussian, averaged over the same "
        "noise draws for every row "
        "(An and Cho, 2015)."
    ),
}
OF_NUMBERS = (
    "Numeric values are standardised by the rows that the networks learnt from, after a signed "
    "logarithm where the tail is heavy."
)
OF_PIXELS = "Pixels are standardised by the images that the networks learnt from."


def lead(version: Version, detector: Detector, facts: CardFacts) -> str:
    """The version in one sentence."""
    rows = "normal rows" if detector.training.rows == "normal" else "rows, known frauds included,"
    return (
        f"{KINDS[detector.settings.architecture]} autoencoder ({_network(detector)}) that learnt from "
        f"{count(facts.rows)} {rows} of "
        f"{_window(version)} on {detector.device}, and ranks rows by their {_score(detector)}."
    )


def held_out(detector: Detector) -> str:
    """What the held-out rows are called: where the networks learn from all rows, frauds may be among them."""
    return "Held-out normal rows" if detector.training.rows == "normal" else "Held-out rows"


def settings(version: Version, detector: Detector, facts: CardFacts) -> list[tuple[str, str]]:
    """What was configured and learnt: (term, words)."""
    model, training = detector.settings, detector.training
    kept = ", ".join(str(epoch.epoch) for epoch in best_epochs(detector.history))
    return [
        ("Window", f"{_window(version)}; scores dates from {long_date(version.as_of)} on"),
        (
            "Networks",
            "; ".join([f"{model.members}, {model.architecture}", _network(detector), *_options(detector)]),
        ),
        (
            "Noise while training",
            (
                f"input noise {model.input_noise:g} (standard deviation, encoded units), dropout "
                f"{model.dropout:g}"
            ),
        ),
        (
            "Training",
            f"at most {training.epochs} epochs, batches of {training.batch_size}, learning rate "
            f"{training.learning_rate:g}, "
            f"seed {training.seed}; weights kept from epoch {kept}",
        ),
        ("Score", _score(detector)),
        ("Threshold", facts.rule),
        *_encoding(detector.encoder),
        ("Artifact", f"SHA-256 of its manifest {version.sha256}"),
    ]


def verdict(detector: Detector, facts: CardFacts) -> str:
    """What the threshold makes of the rows of this page."""
    if facts.threshold is None:
        return f"The threshold depends on the night: {facts.rule}."
    calibration = detector.calibration
    groups = [(calibration.held_out, "held-out rows"), (calibration.anomalies, "known frauds")]
    found = [
        f"{percent(float((scores >= facts.threshold).mean()))} of the {count(len(scores))} {name}"
        for scores, name in groups
        if len(scores)
    ]
    return f"{' and '.join(found)} reach the threshold."


def latent_words(latent: Latent, detector: Detector) -> str:
    """What the two pictures of the latent space show."""
    whose = "the first network" if detector.settings.members > 1 else "the network"
    frauds = int(latent.fraud.sum())
    known = f" and {count(frauds)} known frauds" if frauds else ""
    beyond = outside(latent)
    clipped = f" Beyond the axes, and drawn at their ends: {count(beyond)}." if beyond else ""
    return (
        f"What {whose} keeps of a row: {latent.units} {'numbers' if latent.units > 1 else 'number'}, "
        "drawn along the principal "
        f"components of the held-out rows. {count(len(latent.fraud) - frauds)} held-out rows{known} "
        f"are shown.{clipped}"
    )


def methods(detector: Detector, facts: CardFacts, *, is_image: bool) -> list[tuple[str, str]]:
    """On which rows the page's figures were measured, and what they mean: (term, explanation)."""
    worst, scale = ("pixel", OF_PIXELS) if is_image else ("feature", OF_NUMBERS)
    return [
        ("Rows", _rows(detector, facts)),
        (
            "What this page cannot say",
            "All of it is seen on the training window, with the labels known by then. How the version "
            "does on later nights is in the "
            "report of nightscore evaluate.",
        ),
        (
            "Loss",
            "The mean squared residual per feature in encoded units, of a category its cross-entropy. "
            "Validation rows decide when the "
            "training stops. Penalties of the settings are part of it, and while a network learns, so "
            "is the noise on its input.",
        ),
        ("Score", SCORES[detector.settings.score]),
        ("Threshold", f"The score from which rows are flagged: {facts.rule}."),
        (
            f"Worst {worst}s",
            f"The mean loss of each {worst}, and its share in the mean error of all. A loss of 1 is "
            "what a standardised value has where "
            "nothing is known of it but its mean.",
        ),
        ("Encoded units", f"{scale} The page shows no value of a private column."),
    ]


def _rows(detector: Detector, facts: CardFacts) -> str:
    trained = (
        "none of which was trained on"
        if detector.training.rows == "normal"
        else "some of which were trained on"
    )
    frauds, unconfirmed = facts.left_out.known_frauds, facts.left_out.unconfirmed
    known = f" The {count(frauds)} known frauds are those of the same window, {trained}." if frauds else ""
    suspects = (
        f" {count(unconfirmed)} of the rows had been flagged, and no label said by then what they are: "
        "nothing is fitted to them, and "
        "their scores count for thresholds and p-values alone."
        if unconfirmed
        else ""
    )
    kind = "normal rows (no known frauds)" if detector.training.rows == "normal" else "rows"
    return (
        f"Of the {count(facts.rows)} {kind} of the window, drawn by the seed, the networks learnt from "
        "80%; 10% stopped the training and "
        "gave the moments of the residuals; 10% are held out for the p-values and for this "
        f"page.{suspects}{known}"
    )


def _window(version: Version) -> str:
    first, last = version.first_date, version.last_date
    return long_date(first) if first == last else f"{long_date(first)} to {long_date(last)}"


def _network(detector: Detector) -> str:
    model = detector.settings
    if model.architecture == "conv":
        return f"convolutions {'-'.join(map(str, model.filters))}, latent layer {model.latent}"
    return f"hidden layers {'-'.join(map(str, model.hidden))}"


def _options(detector: Detector) -> list[str]:
    """The settings that this architecture has beside its size."""
    model = detector.settings
    keys = [
        key
        for key in ("activation", "activity_regularisation", "kl_weight")
        if model.architecture in USED_BY[key]
    ]
    return [f"{key.replace('_', ' ')} {value}" for key in keys if (value := getattr(model, key))]


def _score(detector: Detector) -> str:
    draws = (
        f" of {detector.settings.draws} draws"
        if detector.settings.score == "reconstruction_probability"
        else ""
    )
    return {"error": "error", "mae": "mean absolute error", "whitened": "whitened error"}.get(
        detector.settings.score, f"reconstruction probability{draws}"
    )


def _encoding(encoder: Encoder) -> list[tuple[str, str]]:
    if encoder.layout.image:
        height, width, channels = encoder.layout.image
        return [
            ("Images", f"{height} x {width} pixels, {channels} {'channels' if channels > 1 else 'channel'}")
        ]
    groups = {
        "Numeric features": [feature.name for feature in encoder.numeric],
        "Signed logarithm": [feature.name for feature in encoder.numeric if feature.signed_log],
        "Missing indicator": [feature.name for feature in encoder.numeric if feature.may_be_missing],
        "Categories": [
            f"{feature.name} ({len(feature.vocabulary) + 1} codes)" for feature in encoder.categorical
        ],
    }
    return [
        (term, f"{len(names)}: {', '.join(names)}" if names else "none") for term, names in groups.items()
    ]
