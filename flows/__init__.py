"""Prefect flows, settings and the command line. Nothing phones home, whoever starts a flow."""

import os

for _variable, _value in {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "GX_ANALYTICS_ENABLED": "false",
    "PYDANTIC_DISABLE_PLUGINS": "__all__",  # it would look through every installed package for some
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "300",  # the first start migrates a database
}.items():
    os.environ.setdefault(_variable, _value)
