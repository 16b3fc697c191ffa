"""The devices of TensorFlow. They are fixed once it has started, so each case has its own process."""

import json
import os
import subprocess
import sys

import pytest

from models import device
from models.networks.architectures import ARCHITECTURES

pytestmark = pytest.mark.slow

TRAIN = """
import json
import numpy as np, polars as pl
from models.device import tf
if {devices} > 1:
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * {devices})
from models.detector.detector import train
from models.device import describe_device, strategy
from models.errors import TrainingError
from models.settings import ModelSettings, TrainingSettings
with strategy():
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
rows = pl.DataFrame(np.random.default_rng(1).normal(size=(1_000, 2)) @ np.ones((2, 5)), schema=list("abcde"))
model = ModelSettings(architecture="{architecture}", hidden=(16, 2, 16), score="whitened")
training = TrainingSettings(epochs=3, batch_size=64)
detector = train(rows, list("abcde"), [], model, training)
scores = detector.score(rows)
losses = [epoch.validation_loss for epoch in detector.history]
finite = bool(np.isfinite(scores.score).all())
refused = ""
if {devices} > 1:
    try:
        train(rows, list("abcde"), [], model, TrainingSettings(epochs=3, batch_size={devices} - 1))
    except TrainingError as error:
        refused = str(error)
found = dict(replicas=replicas, device=detector.device, losses=losses, finite=finite, refused=refused)
print(json.dumps(found))
"""


AS_ON_A_GPU = """
import json
from models.device import keras, tf
from models.networks import reuse
from models.networks.architectures import ARCHITECTURES
from models.networks.schedule import Schedule
from models.encoding.layout import Layout
from models.settings import ModelSettings
import numpy as np
keras.config.set_dtype_policy("mixed_float16")
reuse.has_gpu = lambda: True
rows = np.random.default_rng(1).normal(size=(256, 2)).astype("float32") @ np.ones((2, 24), "float32")
found = dict()
for name in ARCHITECTURES:
    size = dict(filters=(4,), latent=2) if name == "conv" else dict(hidden=(16, 2, 16))
    image = (6, 4, 1) if name == "conv" else None
    layout = Layout(numeric=24, indicators=0, categories=(), owners=tuple(range(24)), image=image)
    form = reuse.Form(layout, ModelSettings(architecture=name, **size), 0.01, 32)
    losses = []
    for _ in range(2):
        passes = reuse.take(form, 1)
        before = passes.validate(rows, rows)
        for numbers in Schedule(rounds=5, batch_size=32, steps=None).batches(len(rows), 1):
            passes.train(tf.constant(rows), numbers)
        losses.append((before, passes.validate(rows, rows)))
        reuse.keep(form, passes)
    network = passes.network
    policies = sorted(set(layer.compute_dtype for layer in network.layers))
    found[name] = dict(
        xla=network.jit_compile,
        policies=policies,
        scaled=type(network.optimizer).__name__,
        output=network(rows).dtype.name,
        learnt=losses[0][1] < losses[0][0],
        again=losses[0] == losses[1],
    )
print(json.dumps(found))
"""


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", code], capture_output=True, text=True, timeout=250
    )


@pytest.mark.parametrize(
    ("devices", "architecture"), [pytest.param(1, "dense", marks=pytest.mark.soak), (2, "vae")]
)
def test_a_network_is_trained_on_every_device(devices: int, architecture: str) -> None:
    done = run(TRAIN.format(devices=devices, architecture=architecture))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["replicas"] == devices
    assert found["device"].endswith("cpu") if devices == 1 else found["device"] == f"{devices}x cpu"
    assert found["finite"]
    if devices > 1:
        assert "a batch of 1 rows leaves some of the 2 devices without a row" in found["refused"]
    assert found["losses"][-1] < found["losses"][0]
    assert done.stderr == ""


def test_every_architecture_learns_twice_in_mixed_precision_compiled_by_xla_as_on_a_gpu() -> None:
    done = run(AS_ON_A_GPU)
    assert done.returncode == 0, done.stderr
    expected = {
        "xla": True,
        "policies": ["float16", "float32"],
        "scaled": "LossScaleOptimizer",
        "output": "float32",
        "learnt": True,
        "again": True,
    }
    assert json.loads(done.stdout) == dict.fromkeys(ARCHITECTURES, expected)


def test_only_start_up_lines_are_dropped_from_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    with device._quiet_start():
        os.write(
            2, b"WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\n"
        )
        os.write(2, b"the disk is full\n")
    assert capfd.readouterr().err == "the disk is full\n"
