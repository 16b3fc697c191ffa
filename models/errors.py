"""What can go wrong with a detector. Each message says what was found and what to do."""


class ModelError(Exception):
    """A detector could not be trained, read or used."""


class TrainingError(ModelError):
    """The training rows, or what was learnt from them, cannot make a detector."""


class ArtifactError(ModelError):
    """The files of a stored detector are missing, or are not the ones that were written."""


class ThresholdError(ModelError):
    """The threshold strategy cannot be applied to these scores."""
