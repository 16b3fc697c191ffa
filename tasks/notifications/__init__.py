"""Messages to people and systems: events, webhooks, Prefect artifacts."""
