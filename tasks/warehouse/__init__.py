"""The warehouse: DuckDB or DuckLake, transactions, waiting for other processes, read-only queries."""
