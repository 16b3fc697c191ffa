"""What a flow run is called in Prefect: the dataset, and the business date or dates that it is about."""

from pathlib import Path

from prefect.runtime import flow_run

from flows.errors import SettingsError
from flows.schedule import business_date
from flows.settings import load_settings


def run_name() -> str:
    """The name of the flow run of the context, such as `card-fraud 2018-07-25` or `card-fraud
    2018-07-01..2018-07-31`.
    """
    given = flow_run.parameters
    config = Path(given["config"])
    try:
        settings = load_settings(config)
    except SettingsError:  # the run itself says what is wrong
        return config.name
    if "first" in given:
        return f"{settings.name} {given['first'] or ''}..{given['last'] or ''}"
    if "day" not in given and "as_of" not in given:
        return settings.name
    day = (
        given.get("day")
        or given.get("as_of")
        or business_date(flow_run.scheduled_start_time, settings.schedule)
    )
    return f"{settings.name} {day}"
