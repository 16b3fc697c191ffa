"""TensorFlow without its start-up messages, and the processors that it finds.

Every other file in models imports `keras` and `tf` from here, so that the settings below apply before either
is imported. With a GPU, networks are trained in mixed_float16 with XLA, on every GPU at once
(MirroredStrategy). Scoring is always in float32: float16 cannot represent encoded values above 65,504, which
anomalous rows may have.
"""

import logging
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from models.deferred_imports import defer_imports
from models.graph_cache import flags, open_cache

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # the same sums in the same order on every processor
os.environ["KERAS_BACKEND"] = "tensorflow"
GRAPHS = open_cache()
defer_imports()
if GRAPHS is not None:
    os.environ["TF_XLA_FLAGS"] = flags(GRAPHS, os.environ.get("TF_XLA_FLAGS", ""))

START_UP = re.compile(
    rb"absl::InitializeLog|cudart_stub|cuda_(dnn|fft|blas)|computation_placer|cpu_feature_guard|oneDNN"
)


@contextmanager
def _quiet_start() -> Iterator[None]:
    """Drops the lines that TensorFlow's C++ code writes to standard error on import; all others pass."""
    try:
        original = os.dup(2)
    except OSError:  # standard error is closed: no line can reach it
        yield
        return
    with tempfile.TemporaryFile() as caught:
        os.dup2(caught.fileno(), 2)
        try:
            yield
        finally:
            if sys.stderr is not None:
                sys.stderr.flush()
            os.dup2(original, 2)
            os.close(original)
            caught.seek(0)
            os.write(2, b"".join(line for line in caught if not START_UP.search(line)))


with _quiet_start():
    import keras
    import tensorflow as tf

    with suppress(RuntimeError):  # TensorFlow is already in use: its memory cannot be set up again
        for _gpu in tf.config.list_physical_devices("GPU"):
            tf.config.experimental.set_memory_growth(_gpu, True)
    tf.config.experimental.enable_tensor_float_32_execution(False)
    tf.get_logger().setLevel(logging.ERROR)  # not a warning for every network that is traced again

__all__ = ["GRAPHS", "describe_device", "has_gpu", "keras", "reproducible", "strategy", "tf"]


def has_gpu() -> bool:
    """Returns whether networks are trained, and graphs compiled, for a GPU."""
    return bool(tf.config.list_physical_devices("GPU"))


def describe_device() -> str:
    """Returns the device used for training, such as "cpu" or "1x NVIDIA H100, mixed_float16, XLA"."""
    count = len(_processors())
    if not has_gpu():
        return "cpu" if count == 1 else f"{count}x cpu"
    details = tf.config.experimental.get_device_details(tf.config.list_physical_devices("GPU")[0])
    return f"{count}x {details.get('device_name', 'GPU')}, mixed_float16, XLA"


@contextmanager
def strategy() -> Iterator[None]:
    """Networks built and trained in this context use every GPU, in mixed_float16; without one, the CPU, in
    float32.

    A CPU that was split into several logical devices counts as several, so that training on many devices can
    be tested anywhere.
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16" if has_gpu() else "float32")
    try:
        many = len(_processors()) > 1
        with (
            tf.distribute.MirroredStrategy(_processors()) if many else tf.distribute.get_strategy()
        ).scope():
            yield
    finally:
        keras.config.set_dtype_policy(before)


def reproducible(seed: int) -> None:
    """Seeds all later random draws of Python, NumPy and TensorFlow.

    On the CPU, sums keep their order too, so that training again gives the same network to the last bit. On a
    GPU that would rule out XLA: there, networks are the same up to rounding.
    """
    keras.utils.set_random_seed(seed)
    if not has_gpu():
        tf.config.experimental.enable_op_determinism()


def _processors() -> list[str]:
    found = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return [device.name for device in found]
