"""What a model card says of the head: what it learnt from, what it bought, or why there is none."""

from models.detector.detector import Detector
from tasks.pages.charts import count
from tasks.pages.model_card_facts import CardFacts


def head_settings(detector: Detector, facts: CardFacts) -> list[tuple[str, str]]:
    """Returns whether there is a head, and why: (term, text); nothing where none was asked for."""
    report = detector.head_report
    if report is None:
        return [("Head", f"left out: {facts.why_no_head}")] if facts.why_no_head else []
    return [("Head", report.why if report.used else f"left out: {report.why}")]


def head_methods(detector: Detector, facts: CardFacts) -> list[tuple[str, str]]:
    """Returns what the head learnt from, and how the score is made with it: (term, explanation)."""
    report = detector.head_report
    if report is None:
        return []
    rows = (
        f"{count(report.frauds)} known frauds and {count(report.normals)} normal rows of {report.first} to "
        f"{report.last}, by the labels known by then. Normal are rows known as normal, and rows of no known "
        f"label that were not flagged; no network learnt from them, and no p-value comes from them. "
        f"{count(report.unconfirmed)} flagged rows of no known label and {count(report.compromised)} rows of "
        f"entities that were known to be compromised are neither.{_selection(facts)}"
    )
    if not report.used:
        return [("Rows for a head", rows)]
    score = (
        "The score is the log odds of gradient boosted trees (LightGBM), which see the encoded features, the "
        "residual and the networks' score, plus a weight times how surprising the networks' score is: -log "
        "of the share of normal rows with a higher one. The figures of known frauds on this page are of "
        "dates that a head had not learnt from; the gate usefulness, the latent space and the worst features "
        "are of the networks alone."
    )
    return [("Rows of the head", rows), ("Score with the head", score), *_reserve(facts)]


def _reserve(facts: CardFacts) -> list[tuple[str, str]]:
    if not facts.reserve:
        return []
    text = (
        f"{facts.reserve:g} of a night's list is for the rows that the networks alone, without the head, "
        "find strangest (unknown pattern), the rest for those with the highest scores (known pattern)."
    )
    return [("Reserve", text)]


def _selection(facts: CardFacts) -> str:
    if not facts.head_selected:
        return ""
    share = facts.head_selected / max(1, facts.head_labels)
    return (
        f" {count(facts.head_selected)} of the {count(facts.head_labels)} labels of these dates "
        f"({share:.3f}) come from flags alone: a head learns best what was flagged before."
    )
