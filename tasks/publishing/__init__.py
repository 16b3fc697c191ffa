"""Commits a night: the ledger, the staged night, the one transaction and its integrity checks."""
