"""The gate of a night: Great Expectations, quarantine, Data Docs."""
