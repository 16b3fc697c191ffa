"""Who scores a date: when a version is due, who is a challenger, and what ends that."""

import json
from datetime import date, timedelta
from pathlib import Path

import pytest
from banks import CONFIG

import sql
from flows.settings import Settings, load_settings
from tasks.core.identity import training_identity
from tasks.registry.selection import select_models
from tasks.training.retraining import training_due
from tasks.warehouse.connection import Warehouse

START = date(2026, 3, 1)


class Registry:
    """Versions of the small bank that were never trained. every: `retrain_every_days`."""

    def __init__(self, folder: Path, more: str = "") -> None:
        (folder / "nightscore.toml").write_text(
            CONFIG.replace("window_days = 6", f"window_days = 6\nretrain_every_days = 7\n{more}")
        )
        self.settings: Settings = load_settings(folder / "nightscore.toml")
        self.warehouse = Warehouse(self.settings.warehouse, self.settings.name)

    def do(self, statement: str, **values: object) -> None:
        Warehouse(self.settings.warehouse, self.settings.name).transact(
            lambda con: con.execute(statement, values)
        )

    def add(self, name: str, day: int, *, withheld: str | None = None, another: bool = False) -> None:
        """Registers a version as of the n-th day from START; `another` configuration taught it."""
        as_of = START + timedelta(days=day)
        known = {
            "version": name,
            "as_of": as_of,
            "first_date": as_of,
            "last_date": as_of,
            "withheld": withheld,
        }
        texts = {
            "training_hash": "another" if another else training_identity(self.settings).current,
            "metrics": "{}",
            "gates": json.dumps([]),
        }
        columns = (
            "rows",
            "dates",
            "known_frauds",
            "unconfirmed",
            "contamination",
            "architecture",
            "score",
            "artifact_path",
            "artifact_sha256",
            "card_path",
            "device",
        )
        self.do(sql.read("registry/insert_version"), **known, **texts, **dict.fromkeys(columns, "1"))

    def promote(self, name: str, day: int) -> None:
        first = START + timedelta(days=day)
        self.do(
            sql.read("registry/insert_promotion"),
            effective_from=first,
            version=name,
            promoted_by="me",
            why="",
        )

    def decide(self, name: str, day: int) -> None:
        self.do(
            "insert into decisions by name select $name as version, $day as as_of",
            name=name,
            day=START + timedelta(days=day),
        )

    def due(self, day: int) -> bool:
        return training_due(self.settings, self.warehouse, START + timedelta(days=day)) is not None

    def challengers(self, day: int) -> list[str]:
        """The champion and its challengers."""
        found = select_models(self.settings, self.warehouse, START + timedelta(days=day))
        return [version.name for version in (found.champion, *found.challengers)] if found else []


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    found = Registry(tmp_path)
    found.add("a", 0)
    found.promote("a", 0)
    return found


def test_the_first_version_is_due_and_each_when_the_newest_is_old(tmp_path: Path, registry: Registry) -> None:
    (tmp_path / "new").mkdir()
    assert Registry(tmp_path / "new").due(0)
    assert [registry.due(day) for day in (0, 6, 7, 20)] == [False, False, True, True]


def test_age_counts_from_the_newest_version_of_any_state(registry: Registry) -> None:
    registry.add("waiting", 7)
    assert [registry.due(day) for day in (7, 13, 14)] == [False, False, True]
    registry.add("withheld", 14, withheld="a gate failed")
    assert [registry.due(day) for day in (14, 20, 21)] == [False, False, True]
    registry.add("another", 21, another=True)
    assert registry.due(21)
    assert not registry.due(6)  # what is younger than the date counts for nothing


def test_a_champion_of_another_configuration_is_none(registry: Registry) -> None:
    registry.add("another", 3, another=True)
    registry.promote("another", 3)
    assert registry.challengers(2) == ["a"]
    assert registry.challengers(3) == []
    assert registry.due(3)


def test_without_a_champion_a_version_is_due_unless_one_waits_for_a_person(tmp_path: Path) -> None:
    for promotion, waits in (("automatic", False), ("manual", True)):
        folder = tmp_path / promotion
        folder.mkdir()
        registry = Registry(folder, f'promotion = "{promotion}"')
        registry.add("withheld", 0, withheld="a gate failed")
        assert registry.due(1)
        registry.add("fit", 0)
        assert registry.due(1) != waits
        assert registry.challengers(1) == []


def test_a_challenger_is_scored_from_its_as_of_until_it_is_decided_on_or_promoted(registry: Registry) -> None:
    registry.add("b", 3)
    registry.add("c", 5)
    registry.add("unfit", 5, withheld="a gate failed")
    registry.add("another", 5, another=True)
    assert [registry.challengers(day) for day in (2, 3, 5)] == [["a"], ["a", "b"], ["a", "b", "c"]]
    registry.decide("b", 6)
    assert [registry.challengers(day) for day in (6, 7)] == [["a", "b", "c"], ["a", "c"]]
    registry.promote("c", 8)
    assert [registry.challengers(day) for day in (7, 8)] == [["a", "c"], ["c"]]


def test_a_version_that_is_older_than_the_champion_or_was_rolled_back_challenges_nobody(
    registry: Registry,
) -> None:
    registry.add("b", 3)
    registry.add("c", 5)
    registry.promote("c", 5)
    assert registry.challengers(6) == ["c"]
    registry.do(
        "insert into promotions by name select $day as effective_from, now() as promoted_at, 'a' as version, "
        "(select promoted_at from promotions where version = 'c') as undoes",
        day=START + timedelta(days=5),
    )
    assert registry.challengers(6) == ["a", "b"]
