"""The source's daily partitions: the connection, ingest, late arrival, simulation."""
