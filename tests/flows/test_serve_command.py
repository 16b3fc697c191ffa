"""`nightscore serve` and work pools, as processes: what they print, what they run, how they end."""

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import httpx
import pytest
from banks import NIGHT, Bank
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.flow_runs import wait_for_flow_run
from prefect.settings import PREFECT_API_URL, temporary_settings

BIN, ROOT = Path(sys.executable).parent, Path(__file__).parents[2]
SECOND = NIGHT + timedelta(days=1)


@contextmanager
def serving(bank: Bank, **variables: str) -> Iterator[tuple["subprocess.Popen[str]", list[str]]]:
    """Yields the process and the lines that it has printed once it serves."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")} | variables
    command = [str(BIN / "nightscore"), "serve", "--config", str(bank.config)]
    with subprocess.Popen(
        command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        printed = []
        for line in process.stdout:
            printed.append(line.strip())
            if line.startswith("Serving"):
                break
        try:
            yield process, printed
        finally:
            process.kill()


def end(process: "subprocess.Popen[str]") -> tuple[int, str]:
    """Ends it with SIGTERM; returns its exit status and standard error."""
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=120)
    return process.returncode, errors


def ended(run: UUID) -> str:
    """The name and the final state of a flow run."""
    found = asyncio.run(wait_for_flow_run(run, timeout=240, poll_interval=1))
    return f"{found.name}: {found.state_name}"


@pytest.mark.slow
@pytest.mark.usefixtures("prefect_server")
def test_serve_prints_what_it_serves_and_ends_silently(bank: Bank) -> None:
    url = str(PREFECT_API_URL.value())
    with serving(bank, PREFECT_API_URL=url) as (process, printed):
        assert end(process) == (0, "")
    assert [line.split(":")[0] for line in printed] == [
        "nightly/small-bank",
        "retrain/small-bank",
        "backfill/small-bank",
        "evaluate/small-bank",
        "Serving, until Ctrl-C. Prefect",
    ]
    assert printed[-1].endswith(url.removesuffix("/api"))


@pytest.mark.slow
def test_a_server_that_does_not_answer_is_reported_in_one_line(bank: Bank) -> None:
    with serving(bank, PREFECT_API_URL="http://127.0.0.1:9/api") as (process, printed):
        _, errors = process.communicate(timeout=120)
    assert printed == []
    assert re.fullmatch(
        r"nightscore: the Prefect server at http://127.0.0.1:9/api does not answer .*\n", errors
    )
    assert process.returncode == 1


@pytest.mark.soak
def test_without_a_server_one_is_started_and_ends_with_serve(bank: Bank, tmp_path: Path) -> None:
    with serving(bank, PREFECT_HOME=str(tmp_path / "prefect")) as (process, printed):
        (address,) = re.findall(r"Prefect server started at (\S+);", printed[0])
        with temporary_settings({PREFECT_API_URL: f"{address}/api"}), get_client(sync_client=True) as client:
            nightly = client.read_deployment_by_name("nightly/small-bank")
            run = client.create_flow_run_from_deployment(nightly.id, parameters={"day": str(NIGHT)})
            assert ended(run.id) == f"small-bank {NIGHT}: Completed"
            retrain = client.read_deployment_by_name("retrain/small-bank")
            run = client.create_flow_run_from_deployment(retrain.id, parameters={"as_of": str(SECOND)})
            assert ended(run.id) == f"small-bank {SECOND}: Completed"
            assert httpx.get(address).status_code == 200  # the interface
            assert any(found.auto_scheduled for found in client.read_flow_runs())
        status, errors = end(process)
    assert status == 0
    assert "WARNING" not in errors
    assert "Traceback" not in errors
    with pytest.raises(httpx.ConnectError):
        httpx.get(address)
    assert bank.table("select partition_date from current_runs")["partition_date"].to_list() == [NIGHT]


@pytest.mark.soak
@pytest.mark.usefixtures("prefect_server")
def test_a_process_worker_runs_a_night_of_prefect_yaml_to_completed(bank: Bank, tmp_path: Path) -> None:
    shutil.copy(ROOT / "prefect.yaml", tmp_path)  # the worker has no other file of the repository
    env = os.environ | {
        "PREFECT_API_URL": str(PREFECT_API_URL.value()),
        "NIGHTSCORE_DATASET": "small-bank",
        "NIGHTSCORE_CONFIG": str(bank.config),
        "NIGHTSCORE_CRON": "30 2 * * *",
        "NIGHTSCORE_TIMEZONE": "Europe/Paris",
    }
    with get_client(sync_client=True) as client:
        client.create_work_pool(WorkPoolCreate(name="nightscore", type="process"))
        subprocess.run(
            [BIN / "prefect", "--no-prompt", "deploy", "--all"],
            env=env,
            cwd=tmp_path,
            check=True,
            capture_output=True,
        )
        deployment = client.read_deployment_by_name("nightly/small-bank")
        assert [(found.schedule.cron, found.schedule.timezone) for found in deployment.schedules] == [
            ("30 2 * * *", "Europe/Paris")
        ]
        run = client.create_flow_run_from_deployment(deployment.id, parameters={"day": str(NIGHT)})
        worker = [BIN / "prefect", "worker", "start", "--pool", "nightscore", "--run-once"]
        subprocess.run(worker, env=env, cwd=tmp_path, check=True, capture_output=True)
        assert ended(run.id) == f"small-bank {NIGHT}: Completed"
    assert bank.table("select partition_date from current_runs")["partition_date"].to_list() == [NIGHT]
