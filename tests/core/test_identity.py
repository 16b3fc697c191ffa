"""When two nights, or two versions, are the same: their listed keys agree, within one format."""

import pytest
from banks import NIGHT, Bank
from pydantic import BaseModel

from flows.settings import Settings, load_settings
from models.settings import ImageSettings
from tasks.core import identity
from tasks.core.column_settings import ColumnRule
from tasks.core.identity import run_identity, training_identity
from tasks.publishing.ledger import committed_dates
from tasks.registry.selection import select_models
from tasks.training.retraining import training_due
from tasks.warehouse.connection import Warehouse

NOT_LISTED = {  # when to train and what for, not how
    "training.retrain_every_days",
    "training.gate",
    "training.promotion",
}


def changed(settings: Settings, section: str, key: str, value: object) -> Settings:
    part = getattr(settings, section).model_copy(update={key: value})
    return settings.model_copy(update={section: part})


@pytest.fixture
def settings(bank: Bank) -> Settings:
    return load_settings(bank.config)


def leaves(prefix: str, section: type[BaseModel]) -> set[str]:
    """Every key of a section, including those of its tables."""
    tables: dict[object, tuple[str, type[BaseModel]]] = {
        ImageSettings | None: ("", ImageSettings),
        dict[str, ColumnRule]: (".*", ColumnRule),
    }
    found = set[str]()
    for name, field in section.model_fields.items():
        below, table = tables.get(field.annotation, ("", None))
        found |= leaves(f"{prefix}.{name}{below}", table) if table else {f"{prefix}.{name}"}
    return found


def test_every_key_that_decides_scores_or_training_is_listed() -> None:
    """Add a new key of one of these sections to tasks/core/identity.py, or to NOT_LISTED."""
    listed = {key for keys in (identity.RUN_FORMATS[5], identity.TRAINING_FORMATS[4]) for key in keys}
    for name in ("features", "quality", "model", "training", "head", "threshold"):
        section = Settings.model_fields[name].annotation
        assert section is not None
        expected = leaves(name, section) - NOT_LISTED
        assert expected == {key for key in listed if key.startswith(f"{name}.")}, name


def test_the_hashes_of_the_first_format_have_not_changed(settings: Settings) -> None:
    assert run_identity(settings).hashes[-1] == "320097074d28ab40"
    assert training_identity(settings).hashes[-1] == "100f83b824d23d58"


def test_keys_that_are_not_set_are_in_earlier_formats_what_they_then_were(settings: Settings) -> None:
    """So a new default makes no committed night due again, and no champion stale."""
    unset = changed(settings, "model", "hidden", None)
    written = changed(settings, "model", "hidden", (100, 20, 100))
    for keys, value in (("epochs", 40), ("batch_size", 512)):
        unset = changed(unset, "training", keys, None)
        written = changed(written, "training", keys, value)
    for found in (run_identity, training_identity):
        assert found(unset).hashes[3:] == found(written).hashes[3:]
        assert not {*found(unset).hashes[:3]} & {*found(written).hashes}


@pytest.mark.parametrize(("key", "former", "newer"), [("score", "whitened", 2), ("architecture", "dense", 1)])
def test_a_default_is_another_one_from_some_format_on(
    settings: Settings, key: str, former: str, newer: int
) -> None:
    unset, written = (changed(settings, "model", key, value) for value in (None, former))
    for found in (run_identity, training_identity):
        assert found(unset).hashes[newer:] == found(written).hashes[newer:]
        assert not {*found(unset).hashes[:newer]} & {*found(written).hashes}


@pytest.mark.parametrize(("role", "other"), [("id", "at"), ("entity", "channel"), ("time", None)])
def test_the_columns_that_identify_rows_belong_to_the_identity_of_a_run(
    settings: Settings, role: str, other: str | None
) -> None:
    another = changed(settings, "columns", role, other)
    assert run_identity(another).current not in run_identity(settings)
    assert training_identity(another) == training_identity(settings)


def test_a_key_added_with_a_neutral_default_keeps_the_hash(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = run_identity(settings)
    added = (*identity.RUN_FORMATS[5], "schedule.offset_days")  # a key of no format, as if it were new
    monkeypatch.setitem(identity.RUN_FORMATS, 5, added)
    assert run_identity(settings).current != before.current
    monkeypatch.setitem(identity.NEUTRAL, "schedule.offset_days", 1)
    assert run_identity(settings) == before
    assert run_identity(changed(settings, "schedule", "offset_days", 2)).current != before.current


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [("source", "times", "utc"), ("head", "kind", "auto"), ("columns", "label_positive", ("Y",))],
)
def test_a_format_without_a_key_does_not_stand_for_another_value_of_it(
    settings: Settings, section: str, key: str, value: object
) -> None:
    other = changed(settings, section, key, value)
    for identify in (run_identity, training_identity):
        own, found = identify(settings), identify(other)
        assert found == own or not set(found.hashes) & set(own.hashes)
    assert training_identity(other) != training_identity(settings)


@pytest.mark.slow
def test_a_new_format_makes_no_night_due_and_no_champion_outdated(
    scored_bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows.nightly import score_night

    settings = load_settings(scored_bank.config)
    warehouse = Warehouse(settings.warehouse, settings.name)
    (run,) = scored_bank.table("from current_runs").to_dicts()
    monkeypatch.setitem(identity.RUN_FORMATS, 6, (*identity.RUN_FORMATS[5], "columns.label"))
    monkeypatch.setitem(identity.TRAINING_FORMATS, 5, (*identity.TRAINING_FORMATS[4], "columns.label"))
    assert run_identity(settings).current.startswith("6:")
    assert training_due(settings, warehouse, NIGHT) is None
    models = select_models(settings, warehouse, NIGHT)
    assert models
    assert models.champion.name == run["model_version"]
    again = score_night(scored_bank.config, NIGHT)
    assert (again.status, again.run_id) == ("already committed", run["run_id"])
    assert committed_dates(warehouse) == [NIGHT]
    foreign = changed(settings, "threshold", "value", 0.5)
    assert run["config_hash"] not in run_identity(foreign)
