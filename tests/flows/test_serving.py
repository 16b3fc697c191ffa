"""Deployments on a real Prefect server: parameters, late runs, missed dates, late partitions, killed runs,
artifacts.
"""

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from banks import DAYS, FIRST, NIGHT, Bank
from hooks import listening
from prefect import State, flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.responses import DeploymentResponse
from prefect.exceptions import PrefectHTTPStatusError
from prefect.flow_engine import run_flow
from prefect.settings import PREFECT_API_URL
from prefect.states import Late, Running
from shown_artifacts import shown_artifacts

import tasks.source.arrival
from flows.catch_up import dates_to_run
from flows.due_dates import DueDates, missed_dates
from flows.serving import deployments as served
from flows.serving.deployments import nightly, retrain
from flows.serving.runner import deployments
from flows.settings import load_settings
from tasks.core.errors import PartitionMissing
from tasks.core.file_lock import locked
from tasks.notifications.prefect_artifacts import Progress, TrainingProgress
from tasks.operations.coalescing import FILE
from tasks.operations.liveness import FOLDER, mark_crashed, track_run

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_server")]

SECOND, LAST = NIGHT + timedelta(days=1), FIRST + timedelta(days=DAYS - 1)
SCHEDULE = '[schedule]\ncron = "0 2 * * *"\noffset_days = 1\nlate_retries = 2\nlate_retry_minutes = 0.001\n'


@pytest.fixture(autouse=True)
def no_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skips the report of earlier nights, which takes longer than a night and is not tested here."""
    monkeypatch.setattr("flows.nightly.report_matured", lambda *_: [])


@pytest.fixture
def client() -> Iterator[SyncPrefectClient]:
    with get_client(sync_client=True) as client:
        yield client


@pytest.fixture
def served_bank(scored_bank: Bank) -> Bank:
    """A bank whose first night is committed, with its deployments on the server."""
    with scored_bank.config.open("a") as file:
        file.write(SCHEDULE)
    return scored_bank


def deploy(bank: Bank) -> dict[str, Any]:
    """Deployment ids by the name of the flow."""
    return {
        deployment.flow_name: deployment.apply()
        for deployment in deployments(bank.config, load_settings(bank.config))
    }


def start_of(night: date) -> datetime:
    """The instant at which the schedule would start the night that scores a date."""
    return datetime(night.year, night.month, night.day, 2, tzinfo=UTC) + timedelta(days=1)


def late_run(client: SyncPrefectClient, bank: Bank, night: date, **parameters: Any) -> FlowRun:
    return client.create_flow_run_from_deployment(
        deploy(bank)["nightly"], state=Late(scheduled_time=start_of(night)), parameters=parameters or None
    )


def execute(run: FlowRun) -> State:
    state = run_flow(served.nightly, flow_run=run, parameters=run.parameters, return_type="state")
    assert isinstance(state, State)
    return state


def named(deployment: DeploymentResponse) -> DeploymentFilter:
    return DeploymentFilter(id=DeploymentFilterId(any_=[deployment.id]))


def committed(bank: Bank) -> list[date]:
    """The date of every committed run; a date that was scored twice is listed twice."""
    return bank.table("select partition_date from runs where status = 'committed' order by all")[
        "partition_date"
    ].to_list()


def test_each_deployment_is_named_after_the_dataset_and_checks_its_parameters(
    served_bank: Bank, client: SyncPrefectClient
) -> None:
    ids = deploy(served_bank)
    assert sorted(ids) == ["backfill", "evaluate", "nightly", "retrain"]
    for flow_name, wrong in (
        ("nightly", {"day": "yesterday"}),
        ("nightly", {"force": "perhaps"}),
        ("retrain", {}),
        ("retrain", {"as_of": "2026-13-01"}),
        ("evaluate", {"first": "2026-01-01"}),
    ):
        with pytest.raises(PrefectHTTPStatusError) as refused:
            client.create_flow_run_from_deployment(ids[flow_name], parameters=wrong)
        assert refused.value.response.status_code == 409, wrong
    run = client.create_flow_run_from_deployment(ids["retrain"], parameters={"as_of": "2026-01-10"})
    assert run.parameters == {"as_of": "2026-01-10", "config": str(served_bank.config)}
    client.delete_flow_run(run.id)
    deployment = client.read_deployment_by_name("nightly/small-bank")
    assert [(found.schedule.cron, found.schedule.timezone) for found in deployment.schedules] == [
        ("0 2 * * *", "UTC")
    ]
    client.request(
        "POST", "/deployments/{id}/schedule", path_params={"id": deployment.id}, json={"min_runs": 2}
    )  # as the scheduler does
    planned = [
        run for run in client.read_flow_runs(deployment_filter=named(deployment)) if run.auto_scheduled
    ]
    assert {(run.expected_start_time.hour, run.expected_start_time.minute) for run in planned} == {(2, 0)}
    assert all(field["description"] for field in deployment.parameter_openapi_schema["properties"].values())


@pytest.mark.parametrize(("ours", "theirs"), [(served.retrain, retrain), (served.nightly, nightly)])
def test_deployments_run_the_flows_of_the_commands(ours: Any, theirs: Any) -> None:
    assert ours.name == theirs.name
    assert set(ours.parameters.properties) <= set(theirs.parameters.properties)
    assert {
        name: field.get("default") for name, field in ours.parameters.properties.items() if name != "day"
    } == {
        name: field.get("default")
        for name, field in theirs.parameters.properties.items()
        if name in ours.parameters.properties and name != "day"
    }


def test_one_of_several_late_runs_scores_each_missed_date_once_and_the_others_are_cancelled(
    served_bank: Bank, client: SyncPrefectClient
) -> None:
    runs = [late_run(client, served_bank, night) for night in (SECOND, LAST)]
    by_hand = late_run(client, served_bank, NIGHT, day=str(NIGHT))
    assert execute(runs[0]).name == "Completed"
    assert committed(served_bank) == [NIGHT, SECOND, LAST]
    first, replaced, asked = (client.read_flow_run(run.id) for run in (*runs, by_hand))
    assert first.name == f"small-bank {LAST}"
    assert replaced.state_name == "Cancelled"
    assert f"replaced by small-bank {SECOND}" in replaced.state.message
    assert asked.state_name == "Late"  # a run on demand, which a scheduled run must not cancel
    assert [{"date": str(SECOND), "outcome": "committed"}] in map(
        json.loads, shown("nightscore-missed-small-bank")
    )


def test_a_late_run_that_has_begun_ends_if_another_replaces_it(
    served_bank: Bank, client: SyncPrefectClient
) -> None:
    path = load_settings(served_bank.config).files / FILE
    with locked(path) as lock:
        lock.write(json.dumps({"run": "small-bank of another process", "until": start_of(LAST).isoformat()}))
        lock.flush()
        state = execute(late_run(client, served_bank, SECOND))
    assert (state.name, state.message) == (
        "Cancelled",
        "replaced by small-bank of another process, which scores every missing date up to its own",
    )
    assert committed(served_bank) == [NIGHT]


@pytest.mark.soak
def test_a_date_that_the_source_lacks_is_notified_once_and_the_others_are_scored(
    served_bank: Bank, client: SyncPrefectClient
) -> None:
    shutil.rmtree(served_bank.day_folder(SECOND))
    failed = "select partition_date from runs where status = 'failed'"
    with listening(200) as hook:
        with served_bank.config.open("a") as file:
            file.write(f'[notify]\nwebhooks = [{{ url = "{hook.url}", on = ["missing"] }}]\n')
        assert execute(late_run(client, served_bank, LAST)).name == "Completed"
        assert [(body["event"], body["date"]) for body in hook.bodies] == [("missing", str(SECOND))]
    assert committed(served_bank) == [NIGHT, LAST]
    assert served_bank.table(failed)["partition_date"].to_list() == [SECOND]
    assert missed_dates(load_settings(served_bank.config), LAST) == DueDates(
        [], [SECOND]
    )  # the next night lists it, and sends nothing


def test_a_schedule_on_a_new_dataset_begins_with_its_own_date(bank: Bank) -> None:
    assert missed_dates(load_settings(bank.config), LAST) == DueDates([], [], [])
    bank.configure("[source]", f"[source]\nstart = {NIGHT}")
    assert missed_dates(load_settings(bank.config), LAST) == DueDates([NIGHT, SECOND], [], [])


def test_serving_and_waiting_do_not_load_tensorflow() -> None:
    loaded = (
        "import sys, flows.serving.runner; print({'tensorflow', 'keras', 'great_expectations', "
        "'sklearn', 'polars'} & set(sys.modules))"
    )
    assert (
        subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True).stdout
        == "set()\n"
    )


def test_a_night_waits_for_a_late_partition(
    served_bank: Bank, client: SyncPrefectClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    partition, away = served_bank.day_folder(SECOND), served_bank.folder / "not yet"
    partition.rename(away)
    look, looks = tasks.source.arrival.look_for, []

    def look_and_deliver(dataset: Any, day: date) -> None:
        looks.append(day)
        if len(looks) == 2:
            away.rename(partition)
        look(dataset, day)

    monkeypatch.setattr(tasks.source.arrival, "look_for", look_and_deliver)
    assert execute(late_run(client, served_bank, SECOND)).name == "Completed"
    assert looks == [SECOND, SECOND]
    assert committed(served_bank) == [NIGHT, SECOND]


def test_a_partition_that_never_arrives_is_notified_as_missing_and_the_run_fails(
    served_bank: Bank, client: SyncPrefectClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(served_bank.day_folder(SECOND))
    looks, look = [], tasks.source.arrival.look_for
    monkeypatch.setattr(
        tasks.source.arrival, "look_for", lambda dataset, day: looks.append(day) or look(dataset, day)
    )
    with listening(200) as hook:
        with served_bank.config.open("a") as file:
            file.write(f'[notify]\nwebhooks = [{{ url = "{hook.url}" }}]\n')
        state = execute(late_run(client, served_bank, SECOND))
        assert [(body["event"], body["date"]) for body in hook.bodies] == [("missing", str(SECOND))]
        assert looks == [SECOND] * 3  # once, and [schedule] late_retries more
        with pytest.raises(PartitionMissing):
            nightly(served_bank.config, SECOND)
        assert len(looks) == 3  # a night run by hand does not wait
    assert (state.name, "there is no partition" in str(state.message)) == ("Failed", True)


def test_catching_up_by_hand_logs_the_expected_dates_that_the_source_lacks(
    served_bank: Bank, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.rmtree(served_bank.day_folder(SECOND))
    with caplog.at_level(logging.INFO, "flows"):
        assert dates_to_run(load_settings(served_bank.config), None, None) == [LAST]
    assert f"the source has no partition of {SECOND}" in caplog.text


def test_the_state_of_a_run_shows_its_outcome(served_bank: Bank, client: SyncPrefectClient) -> None:
    (served_bank.day_folder(SECOND) / "part-0.parquet").write_bytes(b"PAR1 torn")
    state = execute(late_run(client, served_bank, SECOND, day=str(SECOND)))
    assert state.is_failed()
    assert "part-0.parquet" in str(state.message)
    assert execute(late_run(client, served_bank, LAST, day=str(LAST))).is_completed()
    assert committed(served_bank) == [NIGHT, LAST]


KILLED = """
import os, signal, sys
from pathlib import Path
from prefect import flow
from tasks.operations.liveness import track_run

@flow(flow_run_name="killed")
def dies():
    with track_run(Path(sys.argv[1])):
        os.kill(os.getpid(), signal.SIGKILL)

dies()
"""


def test_a_killed_run_is_marked_crashed_by_the_time_the_next_one_starts(
    served_bank: Bank, client: SyncPrefectClient
) -> None:
    files = load_settings(served_bank.config).files
    env = os.environ | {"PREFECT_API_URL": str(PREFECT_API_URL.value())}
    assert (
        subprocess.run([sys.executable, "-c", KILLED, files], env=env, check=False).returncode
        == -signal.SIGKILL
    )
    (left,) = (files / FOLDER).iterdir()
    assert client.read_flow_run(left.name).state_name == "Running"
    assert nightly(served_bank.config, NIGHT).status == "already committed"
    killed = client.read_flow_run(left.name)
    assert (killed.state_name, killed.name) == ("Crashed", "killed")
    assert "ended before the run did" in killed.state.message
    assert list((files / FOLDER).iterdir()) == []


def test_a_running_or_finished_run_is_not_marked_crashed(tmp_path: Path, client: SyncPrefectClient) -> None:
    @flow
    def lives() -> None:
        with track_run(tmp_path), track_run(tmp_path):
            assert mark_crashed(tmp_path) == []
            (path,) = (tmp_path / FOLDER).iterdir()
            assert locked(path) is None
            assert client.read_flow_run(path.name).state_name == "Running"

    lives()
    assert list((tmp_path / FOLDER).iterdir()) == []
    ended = client.create_flow_run(lives, state=Running())
    (tmp_path / FOLDER / str(ended.id)).touch()
    assert mark_crashed(tmp_path) == [str(ended.id)]
    (tmp_path / FOLDER / str(ended.id)).touch()
    assert mark_crashed(tmp_path) == []
    (tmp_path / FOLDER / "00000000-0000-0000-0000-000000000000").touch()  # a run of another server
    assert mark_crashed(tmp_path) == []
    assert list((tmp_path / FOLDER).iterdir()) == []


def test_the_interface_shows_the_night_and_its_training(bank: Bank) -> None:
    """Other tests' banks have the same name, so the artifacts include theirs."""
    nightly(bank.config, NIGHT)
    nights = [
        line
        for (line,) in map(json.loads, shown("nightscore-night-small-bank"))
        if line["date"] == str(NIGHT)
    ]
    assert nights
    assert all(line["rows"] == line["scored"] + line["quarantined"] for line in nights)
    trained = [
        kept
        for kept in shown_artifacts("nightscore-training-small-bank")
        if kept.description == f"small-bank as of {NIGHT}: trained"
    ]
    assert [kept.data for kept in trained] == [100.0] * len(trained) != []


def shown(key: str) -> list[Any]:
    return [artifact.data for artifact in shown_artifacts(key)]


def test_a_server_that_refuses_progress_stops_no_training(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []

    @contextmanager
    def refusing() -> Iterator[None]:
        def refuse(*args: Any, **kwargs: Any) -> None:
            asked.append(args)
            raise httpx.ConnectError("nobody there")

        monkeypatch.setattr("prefect.artifacts.create_progress_artifact", refuse)
        yield

    @flow
    def training() -> None:
        progress = TrainingProgress("bank", NIGHT, members=2, epochs=3)
        for member_epoch in (1, 2, 3, 1, 2):
            progress.epoch(member_epoch, 0.5, 0.6)
        progress.done()

    with refusing():
        training()
    assert len(asked) == 1  # it is not tried again


def test_the_progress_of_an_ensemble_never_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[float] = []
    monkeypatch.setattr(Progress, "show", lambda self, percent, words: shown.append(percent))
    progress = TrainingProgress("bank", NIGHT, members=2, epochs=4)
    for epoch in (1, 2, 3, 4, 1, 2):
        progress.epoch(epoch, 0.5, 0.6)
    progress.done()
    assert shown == [12.5, 25.0, 37.5, 50.0, 62.5, 75.0, 100.0]
