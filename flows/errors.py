"""What can go wrong before a flow starts."""


class SettingsError(Exception):
    """The configuration is missing, or says something that cannot be meant.

    problems: what is wrong with the keys, each in a line without the name of the file.
    """

    def __init__(self, message: str, problems: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.problems = problems or (message,)


class ServingError(Exception):
    """The deployments cannot be served: a port is taken, or a Prefect server does not answer."""


class ComputeError(Exception):
    """The workers of a backfill cannot be had: a Dask scheduler does not answer, or a cluster does not
    start.
    """
