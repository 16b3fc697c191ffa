"""The errors of detectors. Each message says what is wrong and what to do."""


class ModelError(Exception):
    """A detector could not be trained, read or used."""


class TrainingError(ModelError):
    """The training rows, or the networks trained on them, are unusable."""


class ArtifactError(ModelError):
    """The files of a stored detector are missing, or are not the ones that were written."""


class ThresholdError(ModelError):
    """The threshold strategy cannot be applied to these scores."""


class HeadUnavailable(ModelError):
    """The library that heads need cannot be loaded."""
