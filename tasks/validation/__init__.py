"""The gate of a night: Great Expectations, quarantine, Data Docs."""

from models.deferred_imports import defer_imports

defer_imports()
