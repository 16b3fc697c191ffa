"""What a training is checked for before its version may serve."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Gate:
    """One check and what it found.

    name: what is checked, in a few words. passed: None where the finding is only reported. finding: one sentence with its figures.
    """

    name: str
    passed: bool | None
    finding: str
