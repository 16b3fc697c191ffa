"""Scheduled and served flows: deployments, the runner, a scheduled night, a local Prefect server, run
logs.
"""
