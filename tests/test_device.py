"""What TensorFlow runs on. Its devices are fixed once it has started, so each case has a process of its own."""

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

TRAIN = """
import json
import numpy as np, polars as pl
from models.device import tf
if {devices} > 1:
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * {devices})
from models.detector import train
from models.device import describe_device, strategy
from models.settings import ModelSettings, TrainingSettings
with strategy():
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
rows = pl.DataFrame(np.random.default_rng(1).normal(size=(1_000, 2)) @ np.ones((2, 5)), schema=list("abcde"))
model, training = ModelSettings(architecture="{architecture}", hidden=(16, 2, 16)), TrainingSettings(epochs=3, batch_size=64)
detector = train(rows, list("abcde"), [], model, training)
scores = detector.score(rows)
losses = [epoch.validation_loss for epoch in detector.history]
print(json.dumps(dict(replicas=replicas, device=detector.device, losses=losses, finite=bool(np.isfinite(scores.score).all()))))
"""


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-W", "error::UserWarning", "-c", code], capture_output=True, text=True, timeout=250)


@pytest.mark.parametrize(("devices", "architecture"), [(1, "dense"), (2, "dense"), (2, "vae")])
def test_a_network_is_trained_on_every_device_there_is(devices: int, architecture: str) -> None:
    done = run(TRAIN.format(devices=devices, architecture=architecture))
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["replicas"] == devices
    assert said["device"].endswith("cpu") if devices == 1 else said["device"] == f"{devices}x cpu"
    assert said["finite"]
    assert said["losses"][-1] < said["losses"][0]
    assert done.stderr == ""


def test_only_the_noise_of_the_start_is_kept_from_standard_error() -> None:
    code = """
import os, models.device
with models.device._quiet_start():
    os.write(2, b"WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\\n")
    os.write(2, b"the disk is full\\n")
"""
    assert run(code).stderr == "the disk is full\n"
