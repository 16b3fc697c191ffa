"""What can go wrong before a flow starts."""


class SettingsError(Exception):
    """The configuration is missing, or says something that cannot be meant."""
