"""Modules that the libraries import and a night never calls: two seconds of its start-up.

They are in place at once and executed at the first look at one of their attributes. So does
`importlib.util.LazyLoader`, but before Python 3.12 another thread can see a module that is executed in part.
"""

import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from threading import RLock
from types import ModuleType
from typing import Any

DEFERRED = {
    "altair",
    "scipy.stats",
    "sklearn.covariance",
    "sklearn.metrics",
    "tensorflow._api.v2.compat.v1",
    "tensorflow._api.v2.compat.v1.compat",  # else executed with `compat.v1`, which Keras uses
    "tensorflow._api.v2.compat.v2",
}
BEFORE = {"__spec__", "__class__", "__file__"}  # what is looked at without executing the module
_executing = RLock()


class _Deferred(ModuleType):
    def __getattribute__(self, name: str) -> Any:
        if name not in BEFORE:
            _execute(self)
        return ModuleType.__getattribute__(self, name)  # by then it is of that class


def _execute(module: ModuleType) -> None:
    """Executes a module once; other threads wait for it, and its own code sees it as it is by then."""
    with _executing:
        loader = module.__spec__.loader if module.__spec__ else None
        if type(module) is _Deferred and isinstance(loader, _Later) and not loader.has_begun:
            loader.has_begun = True
            try:
                loader.real.exec_module(module)
            except BaseException:
                loader.has_begun = False
                raise
            object.__setattr__(module, "__class__", ModuleType)


class _Later(Loader):
    def __init__(self, real: Loader) -> None:
        self.real, self.has_begun = real, False

    def create_module(self, spec: ModuleSpec) -> None:
        """Has a usual module made."""

    def exec_module(self, module: ModuleType) -> None:
        module.__class__ = _Deferred


class _Deferring(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(fullname, path, target) if fullname in DEFERRED else None
        if spec is not None and spec.loader is not None:
            spec.loader = _Later(spec.loader)
        return spec


def defer_imports() -> None:
    """Has the modules executed at their first use, from now on in this process."""
    if not any(isinstance(finder, _Deferring) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Deferring())
