"""The texts of a model card: a summary of the version, its settings, and how each figure was measured."""

from models.detector.detector import Detector
from models.detector.score_kinds import score_of
from models.encoding.encoder import Encoder
from models.inspection.summary import Latent
from models.networks.architectures import LAYERS
from models.networks.denoiser import INNER_DROPOUT, OUTER_DROPOUT
from models.networks.noise import find_noise
from models.networks.schedule import Schedule
from models.settings import USED_BY
from tasks.core.references import Version
from tasks.pages.charts import count, share_text
from tasks.pages.model_card_charts import best_epochs, outside
from tasks.pages.model_card_facts import CardFacts
from tasks.pages.model_card_head import head_methods, head_settings
from tasks.pages.report_text import long_date

# other architectures are called by their names
KINDS = {"vae": "variational", "conv": "convolutional", "denoiser": "score-matching"}
SCORES = {
    "error": (
        "The error itself: the mean over the features of the squared residual; for a category, its "
        "cross-entropy."
    ),
    "mae": "The mean over the features of the absolute residual, in encoded units.",
    "whitened": (
        "The squared Mahalanobis distance of the residual: its squared length after the correlations of "
        "normal residuals are removed."
    ),
    "reconstruction_probability": (
        "The negative log probability of the row given its latent Gaussian, averaged over the same "
        "noise draws for every row (An and Cho, 2015)."
    ),
    "neighbours": (
        "The mean distance from the ten nearest of a sample of at most 4,096 training rows, in encoded "
        "units{local}, estimated from 512 of them for rows that are near these; no network decides it."
    ),
    "combined": (
        "How surprising the row's distance from the nearest training rows{local}{logarithms} is, plus "
        "{weight:g} times how surprising its residual is, by {part}: -log of the share of normal rows with a "
        "higher value, continued beyond them by a generalised Pareto tail."
    ),
}
OF_NUMBERS = (
    "Numeric values are standardised by the mean and standard deviation of the training rows, after a "
    "signed logarithm if the tail is heavy."
)
OF_MEAN = " A standardised value has a loss of 1 if it is always reconstructed as its mean."
OF_PIXELS = "Pixels are standardised by the mean and standard deviation of the training images."


def lead(version: Version, detector: Detector, facts: CardFacts) -> str:
    """Returns a summary of the version."""
    architecture = detector.architecture
    rows = "normal rows" if detector.training.rows == "normal" else "rows, known frauds included,"
    return (
        f"A {KINDS.get(architecture, architecture)} autoencoder ({_network(detector)}), trained on "
        f"{detector.device} with {count(facts.rows)} {rows} of {_dates(facts)}. It ranks rows by their "
        f"{_score(detector)}{', and by a head that learnt from known frauds' if detector.blend else ''}."
    )


def held_out(detector: Detector) -> str:
    """Returns the name of the held-out rows; if the networks are trained on all rows, it may include
    frauds.
    """
    return "Held-out normal rows" if detector.training.rows == "normal" else "Held-out rows"


def settings(version: Version, detector: Detector, facts: CardFacts) -> list[tuple[str, str]]:
    """Returns the settings and what was learnt with them: (term, text)."""
    model, training = detector.settings, detector.training
    kept = ", ".join(str(epoch.epoch) for epoch in best_epochs(detector.history))
    return [
        ("Dates learnt from", ", ".join(map(str, facts.dates))),
        ("Window", f"{_window(version)}; scores dates from {long_date(version.as_of)} on"),
        (
            "Networks",
            "; ".join([f"{model.members}, {detector.architecture}", _network(detector), *_options(detector)]),
        ),
        ("Noise in training", _noise(detector)),
        (
            "Training",
            f"{Schedule.of(training)}, learning rate "
            f"{training.learning_rate:g}, seed {training.seed}; weights kept from epoch {kept}",
        ),
        ("Score", _score_of(detector)),
        *head_settings(detector, facts),
        ("Threshold", facts.rule),
        *_encoding(detector.encoder),
        ("Artifact", f"SHA-256 of its manifest: {version.sha256}"),
    ]


def share_above_threshold(detector: Detector, facts: CardFacts) -> str:
    """Returns a sentence with the shares of held-out rows and known frauds that reach the threshold."""
    if facts.threshold is None:
        return f"The threshold depends on the night: {facts.rule}."
    calibration = detector.calibration
    groups = [(calibration.held_out, "held-out rows"), (calibration.anomalies, "known frauds")]
    found = [
        f"{share_text(float((scores >= facts.threshold).mean()))} of the {count(len(scores))} {name}"
        for scores, name in groups
        if len(scores)
    ]
    return f"{' and '.join(found)} reach the threshold."


def latent_words(latent: Latent, detector: Detector) -> str:
    """Returns the text above the two pictures of the latent space."""
    network = "the first network" if detector.settings.members > 1 else "the network"
    frauds = int(latent.fraud.sum())
    known = f" and {count(frauds)} known frauds" if frauds else ""
    beyond = outside(latent)
    clipped = f" Points beyond the axes, drawn at the edges: {count(beyond)}." if beyond else ""
    return (
        f"The latent layer of {network} has {latent.units} {'units' if latent.units > 1 else 'unit'}; its "
        "values are drawn along the principal components of the held-out rows. "
        f"{count(len(latent.fraud) - frauds)} held-out rows{known} are shown.{clipped}"
    )


def methods(detector: Detector, facts: CardFacts, *, is_image: bool) -> list[tuple[str, str]]:
    """Returns on which rows the page's figures were measured, and what they mean: (term, explanation)."""
    worst, scale = ("pixel", OF_PIXELS) if is_image else ("feature", OF_NUMBERS)
    is_encoded = find_noise(detector.networks[0]) is None
    units, mean = ("encoded units", OF_MEAN) if is_encoded else ("units of the noise", "")
    return [
        ("Rows", _rows(detector, facts)),
        (
            "Limits of this page",
            "Everything on it is measured on the training window, with the labels known by then. The report "
            "of nightscore evaluate shows how the version does on later nights.",
        ),
        (
            "Loss",
            f"The mean squared residual per feature in {units}; for a category, its cross-entropy. "
            "The validation rows decide when the training stops: by their loss, or by how strange their "
            "residuals are for the scores mae, whitened and combined. The loss includes the penalties of the "
            "settings and, in training, the effect of the noise on the input.",
        ),
        ("Score", _score_of(detector)),
        *head_methods(detector, facts),
        ("Threshold", f"Rows with at least this score are flagged: {facts.rule}."),
        (
            f"Worst {worst}s",
            f"The mean loss of each {worst}, and its share of the mean error over all of them.{mean}",
        ),
        ("Encoded units", f"{scale} The page shows no value of a private column."),
    ]


def _score_of(detector: Detector) -> str:
    tails, spacing = detector.calibration.tails, detector.calibration.spacing
    taken = int((detector.calibration.logarithms[1:2] > 0).sum())
    features = detector.encoder.layout.numeric
    return SCORES[_kind(detector)].format(
        weight=tails[0, -1] if len(tails) else 1,
        part=detector.parts[0],
        local=", by how far apart these lie" if (spacing != 1).any() else "",
        logarithms=f", in logarithms for {taken} of {features} numeric features," if taken else "",
    )


def _rows(detector: Detector, facts: CardFacts) -> str:
    trained = "none of them was" if detector.training.rows == "normal" else "some of them were"
    frauds, unconfirmed = facts.left_out.known_frauds, facts.left_out.unconfirmed
    known = (
        f" The {count(frauds)} known frauds are from the same window; {trained} used to train the networks."
        if frauds
        else ""
    )
    suspects = (
        f" {count(unconfirmed)} of the rows had been flagged and had no known label by then: nothing is "
        "fitted to them, and their scores are used only for thresholds and p-values."
        if unconfirmed
        else ""
    )
    kind = "normal rows (no known frauds)" if detector.training.rows == "normal" else "rows"
    return (
        f"The {count(facts.rows)} {kind} of the window are split at random, by the seed: the networks are "
        "trained on 80%; 10% decide when the training stops and give the moments of the residuals; 10% are "
        f"held out for the p-values and for this page.{suspects}{known}{_selection(facts)}"
    )


def _selection(facts: CardFacts) -> str:
    """How many labels come from flags alone; nothing where none does."""
    if not facts.selected:
        return ""
    return (
        f" {count(facts.selected)} of the {count(facts.labels)} labels of the window come from flags alone: "
        f"answers to flagged rows. {count(facts.labels - facts.selected)} come from the source, label files "
        "and answers to other rows."
    )


def gaps(version: Version, facts: CardFacts) -> str | None:
    """Returns a warning that names the dates of the window that were not learnt from; None if there are
    none.
    """
    if not facts.gaps:
        return None
    return (
        f"The training window {_window(version)} has gaps: {len(facts.gaps)} of its "
        f"{len(facts.gaps) + len(facts.dates)} dates were not learnt from: {', '.join(map(str, facts.gaps))}."
    )


def _dates(facts: CardFacts) -> str:
    first, last = facts.dates[0], facts.dates[-1]
    return (
        f"{len(facts.dates)} dates, {long_date(first)} to {long_date(last)}"
        if first != last
        else long_date(first)
    )


def _window(version: Version) -> str:
    first, last = version.first_date, version.last_date
    return long_date(first) if first == last else f"{long_date(first)} to {long_date(last)}"


def _network(detector: Detector) -> str:
    model, architecture = detector.settings, detector.architecture
    if architecture == "conv":
        return f"convolutions {'-'.join(map(str, model.filters))}, latent layer {model.latent}"
    units = "-".join(map(str, LAYERS[architecture](detector.encoder.layout, model)))
    return f"{'residual blocks' if architecture == 'denoiser' else 'hidden layers'} {units}"


def _noise(detector: Detector) -> str:
    model, noise = detector.settings, find_noise(detector.networks[0])
    deviation, dropout = f"{model.input_noise:g}", f"{model.dropout:g}"
    if noise is not None:
        deviations = noise.deviations.numpy()
        deviation = f"{deviations.min():.2g} to {deviations.max():.2g} by feature"
        dropout = f"{INNER_DROPOUT:g} and {OUTER_DROPOUT:g}"
    return f"input noise {deviation} (standard deviation, encoded units), dropout {dropout}"


def _options(detector: Detector) -> list[str]:
    """Returns the settings that this architecture has besides its size."""
    model = detector.settings
    keys = [
        key
        for key in ("activation", "activity_regularisation", "kl_weight")
        if detector.architecture in USED_BY[key]
    ]
    return [f"{key.replace('_', ' ')} {value}" for key in keys if (value := getattr(model, key))]


def _score(detector: Detector) -> str:
    return {
        "error": "error",
        "mae": "mean absolute error",
        "whitened": "whitened error",
        "reconstruction_probability": f"reconstruction probability of {detector.settings.draws} draws",
        "neighbours": "distance from the nearest training rows",
        "combined": "combined score, of the residual and the distance from the nearest training rows",
    }[_kind(detector)]


def _kind(detector: Detector) -> str:
    return score_of(detector.settings, detector.encoder.layout)


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
