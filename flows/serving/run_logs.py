"""Sends Nightscore's own log lines to the logs of a flow run in Prefect."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from prefect.context import FlowRunContext
from prefect.logging.handlers import APILogHandler

ROOMS = ("flows", "tasks", "models")
log = logging.getLogger(__name__)


@contextmanager
def run_logs() -> Iterator[None]:
    """Within the block, sends Nightscore's log lines to Prefect, and a failure as one line; does so only if a
    deployment runs the flow.
    """
    context = FlowRunContext.get()
    if context is None or context.flow_run is None or context.flow_run.deployment_id is None:
        yield
        return
    handler = APILogHandler()
    loggers = [logging.getLogger(room) for room in ROOMS]
    for logger in loggers:
        logger.setLevel(logging.INFO)
        logger.addHandler(handler)
    try:
        yield
    except Exception as error:
        log.error("failed: %s", " ".join(str(error).split()) or type(error).__name__)
        raise
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
