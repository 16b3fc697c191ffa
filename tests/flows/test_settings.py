import json
from datetime import date
from pathlib import Path

import pytest

from flows.errors import SettingsError
from flows.settings import Settings, load_settings
from tasks.core.date_path import date_path
from tasks.core.identity import run_identity, training_identity

MINIMAL = """
[source]
path = "rows/{date}.parquet"
[columns]
id = "id"
[features]
numeric = ["amount"]
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "nightscore.toml"
    path.write_text(text)
    return path


def test_every_other_key_has_a_default(tmp_path: Path) -> None:
    settings = load_settings(write(tmp_path, MINIMAL))
    assert settings.training.label_delay_days == 7
    assert settings.name == tmp_path.name


def test_a_file_may_begin_with_a_byte_order_mark_and_must_be_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "nightscore.toml"
    path.write_text(MINIMAL, encoding="utf-8-sig")
    assert load_settings(path).name == tmp_path.name
    path.write_text(MINIMAL, encoding="utf-16")
    with pytest.raises(SettingsError, match=r"is not UTF-8 .*; save it as UTF-8"):
        load_settings(path)


@pytest.mark.parametrize(
    ("folder", "name"),
    [("[FRD-12] Müller's cards", "FRD-12-Muller-s-cards"), ("main", "main-data"), ("数据", "dataset")],
)
def test_a_folder_whose_name_is_no_name_of_a_dataset_gives_one(
    tmp_path: Path, folder: str, name: str
) -> None:
    (tmp_path / folder).mkdir()
    assert load_settings(write(tmp_path / folder, MINIMAL)).name == name
    path = write(tmp_path, f"name = {json.dumps(folder)}\n{MINIMAL}")
    with pytest.raises(SettingsError, match=r"such as|keeps for itself"):
        load_settings(path)


def test_a_field_in_the_name_of_the_folder_is_a_name(tmp_path: Path) -> None:
    (tmp_path / "of {date}").mkdir()
    source = load_settings(write(tmp_path / "of {date}", MINIMAL)).source
    assert (
        date_path(source.path or "").shown(date(2024, 3, 5))
        == f"{tmp_path}/of {{date}}/rows/2024-03-05.parquet"
    )


def test_relative_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    settings = load_settings(write(tmp_path, MINIMAL))
    assert settings.source.path == str(tmp_path / "rows/{date}.parquet")
    assert settings.warehouse.uri == str(tmp_path / "nightscore.duckdb")


@pytest.mark.parametrize(
    ("uri", "meant"),
    [
        ("lake/w.duckdb", "{folder}/lake/w.duckdb"),
        ("ducklake:w.ducklake", "ducklake:{folder}/w.ducklake"),
        ("ducklake:sqlite:lake/w.sqlite", "ducklake:sqlite:{folder}/lake/w.sqlite"),
        ("ducklake:sqlite:/srv/w.sqlite", "ducklake:sqlite:/srv/w.sqlite"),
        ("ducklake:postgres:dbname=lake password=secret", "ducklake:postgres:dbname=lake password=secret"),
    ],
)
def test_the_file_of_any_warehouse_is_relative_to_the_configuration(
    uri: str, meant: str, tmp_path: Path
) -> None:
    settings = load_settings(write(tmp_path, MINIMAL + f"[warehouse]\nuri = '{uri}'\n"))
    assert settings.warehouse.uri == meant.format(folder=tmp_path)


def test_a_wrong_connection_string_is_refused_without_being_repeated(tmp_path: Path) -> None:
    path = write(tmp_path, MINIMAL + "[warehouse]\nuri = 'ducklake:postgres:host=db password=hunter 2'\n")
    with pytest.raises(
        SettingsError, match=r"warehouse\.uri: the part after ducklake:postgres: must be key=value pairs"
    ) as refused:
        load_settings(path)
    assert "hunter" not in str(refused.value)


def test_remote_places_are_left_as_they_are(tmp_path: Path) -> None:
    settings = load_settings(write(tmp_path, MINIMAL.replace("rows/", "s3://bucket/rows/")))
    assert settings.source.path == "s3://bucket/rows/{date}.parquet"


def test_variables_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, MINIMAL.replace("rows/", "${ROWS_FOLDER}/"))
    with pytest.raises(SettingsError, match="ROWS_FOLDER"):
        load_settings(path)
    monkeypatch.setenv("ROWS_FOLDER", "/somewhere")
    assert load_settings(path).source.path == "/somewhere/{date}.parquet"


def test_every_problem_is_found_at_once(tmp_path: Path) -> None:
    text = MINIMAL.replace('"rows/{date}.parquet"', '"${ROWS_FOLDER}"').replace("id =", "row_id =")
    path = write(tmp_path, f"{text}sql = 'none.sql'\n[notify]\nwebhooks = [{{ url = '${{HOOK}}' }}]\n")
    with pytest.raises(SettingsError) as refusal:
        load_settings(path)
    found = [problem.split(" ")[0] for problem in refusal.value.problems]
    assert found == ["source.path", "notify.webhooks.0.url", "features.sql:", "columns.id", "columns.row_id"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[columns]", "[columns]\nentitty = 'card'", r"columns.entitty is not a key.*did you mean entity\?"),
        (
            "[columns]",
            "[trainning]\nepochs = 3\n[columns]",
            r"trainning is not a key.*did you mean training\?",
        ),
        ('id = "id"', "", "columns.id is missing"),
        ('numeric = ["amount"]', "", "at least one numeric or categorical feature"),
        ('path = "rows/{date}.parquet"', "", "either path, or all of database, table and date_column"),
        ("{date}", "today", r"must contain \{date\}"),
        ("{date}", "{date:%Y-%m}", "source: path names no whole date: it has %Y, %m"),
        (
            'id = "id"',
            "id = 'id'\nprivate = ['iban']\ndetails = ['iban']",
            "columns: details would show private columns: iban",
        ),
        ('id = "id"', "id = 'id'\ndetails = ['amount', 'amount']", "columns: details names a column twice"),
        ("[columns]", "timezone = 'Mars/Base'\n[columns]", "unknown time zone 'Mars/Base'"),
        ("[features]", "[training]\nepochs = 0\n[features]", "training.epochs.*greater than or equal to 1"),
        (
            "[features]",
            "[features]\nlabel_derived = ['risk']",
            "label_derived names columns that are not features: risk",
        ),
        ("[features]", "[features]\nlabel_derived = ['amount']", "label_derived needs columns.label"),
        (
            "[features]",
            "[report.names]\namout = 'Amount'\n[features]",
            "report.names has amout, which is no feature; there are amount",
        ),
        (
            'id = "id"',
            "id = 'id'\nlabel = 'fraud'\n[threshold]\nstrategy = 'cost'\n[training]\nrows = 'all'",
            "threshold.strategy cost needs training.rows",
        ),
        (
            "[features]",
            "[model]\nfilters = [4]\n[features]",
            "filters has no meaning for architecture 'dense', only for conv; remove it",
        ),
        (
            "[features]",
            "[model]\nscore = 'reconstruction_probability'\n[features]",
            'needs architecture "vae"',
        ),
        (
            "[features]",
            "[threshold]\nstrategy = 'fixed'\n[features]",
            "value in units of the score, so model.score must be set",
        ),
        (
            "[features]",
            "[threshold]\nstrategy = 'fixed'\n[model]\nscore = 'error'\n[features]",
            'so model.architecture must be set; until the default changed, it was "dense"',
        ),
        (
            "[features]",
            "[threshold]\nstrategy = 'best_f1'\n[features]",
            "threshold.strategy best_f1 needs columns.label; name it, or choose",
        ),
        ("[features]", "[features]\nsql = 'none.sql'", "features.sql: there is neither"),
        ("[features]", "[features", "not valid TOML"),
        ('[source]\npath = "rows/{date}.parquet"', "source = 3\nwarehouse = 4", r"source: .*; warehouse: "),
    ],
)
def test_a_wrong_key_is_refused_in_one_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message) as refusal:
        load_settings(write(tmp_path, MINIMAL.replace(old, new)))
    assert "\n" not in str(refusal.value)


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="nightscore init"):
        load_settings(tmp_path / "nightscore.toml")


def changed(settings: Settings, section: str, **values: object) -> Settings:
    return settings.model_copy(update={section: getattr(settings, section).model_copy(update=values)})


@pytest.mark.parametrize(
    ("section", "values", "decides_scores", "decides_training"),
    [
        ("model", {"hidden": (3,)}, True, True),
        ("training", {"epochs": 1}, False, True),
        ("training", {"retrain_every_days": 1, "gate": "strict", "promotion": "manual"}, False, False),
        ("challenger", {"tolerance": 0.5}, False, False),
        ("threshold", {"value": 0.5}, True, False),
        ("schedule", {"cron": "0 3 * * *"}, False, False),
        ("warehouse", {"uri": "other.duckdb"}, False, False),
    ],
)
def test_only_what_decides_scores_identifies_a_run(
    tmp_path: Path, section: str, values: dict[str, object], decides_scores: bool, decides_training: bool
) -> None:
    settings = load_settings(write(tmp_path, MINIMAL))
    other = changed(settings, section, **values)
    assert (run_identity(settings).current != run_identity(other).current) == decides_scores
    assert (training_identity(settings).current != training_identity(other).current) == decides_training


def test_the_text_of_the_feature_sql_decides_scores(tmp_path: Path) -> None:
    path = write(tmp_path, MINIMAL.replace("[features]", "[features]\nsql = 'mine.sql'"))
    (tmp_path / "mine.sql").write_text("-- one\nselect 1")
    before = run_identity(load_settings(path)).current
    (tmp_path / "mine.sql").write_text("-- two\nselect 2")
    assert run_identity(load_settings(path)).current != before


@pytest.mark.parametrize(
    "name", ["../elsewhere", "/tmp/elsewhere", "a/b", "..", ".hidden", "a\nb", "a\n", "", "a\\b", 'a"b']
)
def test_a_name_that_would_lead_out_of_the_folder_of_files_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingsError, match="must begin with a letter or digit"):
        load_settings(write(tmp_path, f"name = {json.dumps(name)}\n{MINIMAL}"))
