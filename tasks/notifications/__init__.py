"""What is sent to people and systems: events, webhooks, Prefect artifacts."""
