"""The registry: who is champion of which date, by promotions and rollbacks that are only ever added."""

import json
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from banks import NIGHT, Bank
from hooks import listening
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import sql
from flows.cli.app import app
from flows.plain import nightly, retrain
from flows.settings import load_settings
from models.detector.manifest import MANIFEST, fingerprint, sha256_of
from models.errors import ArtifactError
from tasks.core.dataset import Dataset
from tasks.core.errors import PromotionRefused
from tasks.core.identity import training_identity
from tasks.registry.listing import ListedVersion, list_versions
from tasks.registry.promotions import Change, promote_by_name, promote_within, roll_back, roll_back_within
from tasks.warehouse.connection import Warehouse, see_as_of
from tasks.warehouse.settings import WarehouseSettings

START = date(2026, 1, 1)
DAYS = [START + timedelta(days=number) for number in range(8)]
VERSIONS = ["a", "b", "c"]
CONFIG = """
name = "bank"
source = { path = "{date}" }
columns = { id = "id" }
features = { numeric = ["x"] }
warehouse = { uri = "w.duckdb", files = "files" }
"""
ADD_RUN = """
insert into runs by name
select 'run ' || $day as run_id, $day as partition_date, 'committed' as status, $version as model_version,
    now() as committed_at
"""
ADD_FIGURE = """
insert into metrics by name
select $day as first_date, $day as last_date, $day as as_of, $version as model_version,
    'nightscore' as detector, 'all' as features, $metric as metric, $value as value, now() as measured_at
"""
GATES = [
    {"name": name, "passed": passed, "finding": "", "advisory": advisory}
    for name, passed, advisory in (("a", False, True), ("b", None, 0))
]


@dataclass(frozen=True)
class Registry:
    """The versions of one dataset, registered with an artifact that is there, and never trained."""

    warehouse: WarehouseSettings
    dataset: str = "bank"

    @property
    def training_hash(self) -> str:
        """Of the versions that the configuration of `invoke` can use."""
        dataset = Dataset.model_validate(
            {
                "name": "bank",
                "source": {"path": "{date}"},
                "columns": {"id": "id"},
                "features": {"numeric": ["x"]},
            }
        )
        return training_identity(dataset).current

    def do(self, statement: str, **values: Any) -> None:
        Warehouse(self.warehouse, self.dataset).transact(lambda con: con.execute(statement, values))

    def rows(self, query: str, as_of: datetime | None = None) -> list[tuple[Any, ...]]:
        with Warehouse(self.warehouse, self.dataset).reading() as con:
            if as_of:
                see_as_of(con, as_of)
            return con.execute(query).fetchall()

    def artifact(self, name: str) -> Path:
        return Path(self.warehouse.files) / self.dataset / "models" / name

    def add(
        self,
        name: str,
        as_of: date = START,
        withheld: str | None = None,
        training_hash: str | None = None,
    ) -> None:
        folder = self.artifact(name)
        folder.mkdir(parents=True)
        files = [
            folder / file
            for file in ("detector.json", "calibration.parquet", "samples.parquet", "network_0.keras")
        ]
        for file in files:
            file.write_text(f"{file.name} of {name}")
        (folder / MANIFEST).write_text(json.dumps({file.name: sha256_of(file) for file in files}))
        model = {
            **{
                "version": name,
                "as_of": as_of,
                "first_date": as_of - timedelta(days=9),
                "last_date": as_of - timedelta(days=3),
            },
            **{
                "rows": 1_234_567,
                "dates": 7,
                "known_frauds": 5,
                "unconfirmed": 3,
                "contamination": 6.5e-6,
                "architecture": "vae",
                "score": "reconstruction_probability",
                "withheld": withheld,
            },
            **{
                "training_hash": training_hash or self.training_hash,
                "metrics": '{"epochs": 7, "validation_loss": 0.5}',
                "gates": json.dumps(GATES),
                "device": "CPU",
            },
            **{
                "artifact_path": str(folder.relative_to(self.warehouse.files)),
                "artifact_sha256": fingerprint(folder),
                "card_path": "card",
            },
        }
        self.do(sql.read("registry/insert_version"), **model)

    def promote(self, name: str, first: date | None = None) -> Change:
        return promote_by_name(Warehouse(self.warehouse, self.dataset), name, first, "a test")

    def roll_back(self) -> Change:
        return roll_back(Warehouse(self.warehouse, self.dataset), "a test")

    def promotions(self) -> list[tuple[Any, ...]]:
        return self.rows("from promotions order by promoted_at")

    def champions(self, as_of: datetime | None = None) -> list[str | None]:
        """Of each of the days, as the statement says that replays a champion."""
        with Warehouse(self.warehouse, self.dataset).reading() as con:
            if as_of:
                see_as_of(con, as_of)
            found = [
                con.execute(sql.read("evaluation/find_champion_as_of"), {"partition_date": day}).fetchall()
                for day in DAYS
            ]
            usable = [
                con.execute(sql.read("registry/find_champion"), {"partition_date": day}).fetchall()
                for day in DAYS
            ]
            newest = con.execute("select version from champion").fetchall()
        assert [[row[0] for row in rows] for rows in usable] == [[row[0] for row in rows] for rows in found]
        assert all(len(rows) <= 1 for rows in found)
        champions = [rows[0][0] if rows else None for rows in found]
        assert [row[0] for row in newest] == [name for name in champions[-1:] if name]
        return champions

    def listed(self, as_of: datetime | None = None) -> dict[str, ListedVersion]:
        return {
            version.version: version
            for version in list_versions(Warehouse(self.warehouse, self.dataset), "all", as_of)
        }

    def invoke(self, *arguments: str, more: str = "") -> tuple[int, str, str]:
        config = Path(self.warehouse.uri).parent / "nightscore.toml"
        config.write_text(CONFIG + more)
        done = CliRunner().invoke(app, [*arguments, "--config", str(config)])
        return done.exit_code, done.stdout, done.stderr


@pytest.fixture
def registry(warehouse: WarehouseSettings) -> Registry:
    return Registry(warehouse)


@dataclass
class Rule:
    """Who is champion, in Python: of the promotions in force the one from the newest date, then the one that
    was made last.
    """

    in_force: list[tuple[date, int, str]] = field(default_factory=list)
    made: int = 0

    def champion(self, day: date) -> str | None:
        return max((promotion for promotion in self.in_force if promotion[0] <= day), default=(day, 0, None))[
            2
        ]

    def promote(self, version: str, first: date) -> bool:
        if self.champion(first) == version:
            return False
        self.made += 1
        self.in_force.append((first, self.made, version))
        return True

    def roll_back(self) -> bool:
        """Whether there was another version before; what is above its newest promotion is forgotten."""
        others = [promotion for promotion in self.in_force if promotion[2] != max(self.in_force)[2]]
        if others:
            self.in_force = [promotion for promotion in self.in_force if promotion <= max(others)]
        return bool(others)


STEPS = st.lists(
    st.one_of(st.tuples(st.sampled_from(VERSIONS), st.sampled_from(DAYS)), st.none()), min_size=1, max_size=9
)
CHAMPIONS = """
select version from unnest($days::date[]) days(day)
left join champions on day >= effective_from and coalesce(day < effective_until, true)
order by day
"""


@dataclass
class Play:
    """Steps on one connection, so that many of them cost little."""

    con: duckdb.DuckDBPyConnection
    warehouse: WarehouseSettings

    def step(self, step: tuple[str, date] | None) -> Change:
        if step:
            return promote_within(self.con, Warehouse(self.warehouse, "bank"), *step, "a test")
        return roll_back_within(self.con, Warehouse(self.warehouse, "bank"), "a test")

    def promotions(self) -> list[tuple[Any, ...]]:
        return self.con.execute("from promotions order by promoted_at").fetchall()

    def champions(self) -> list[str | None]:
        return [version for (version,) in self.con.execute(CHAMPIONS, {"days": DAYS}).fetchall()]

    def replayed(self, instant: datetime) -> list[str | None]:
        see_as_of(self.con, instant)
        return self.champions()


@pytest.mark.slow
def test_after_any_promotions_and_rollbacks_the_champions_are_those_of_the_rule_then_and_for_ever(
    registry: Registry,
) -> None:
    for version in VERSIONS:
        registry.add(version)

    def play_often(con: duckdb.DuckDBPyConnection) -> None:
        @settings(max_examples=25)
        @given(steps=STEPS)
        def play(steps: list[tuple[str, date] | None]) -> None:
            con.execute("delete from promotions")
            follow(steps, Play(con, registry.warehouse))

        play()

    Warehouse(registry.warehouse, registry.dataset).transact(play_often)
    assert registry.champions() == registry.champions(
        datetime.now(UTC) + timedelta(days=1)
    )  # by every statement that asks for one


def follow(steps: list[tuple[str, date] | None], play: Play) -> None:
    """After every step the champion of each day is that of the rule, and what was so at any step before can
    still be asked for.
    """
    rule, rows, past = Rule(), [], {}
    for step in steps:
        if step:
            assert play.step(step).done == rule.promote(*step)
        elif rule.roll_back():
            assert play.step(step).version == rule.champion(DAYS[-1])
        else:
            with pytest.raises(PromotionRefused):
                play.step(step)
        before, rows = rows, play.promotions()
        assert rows[: len(before)] == before
        assert play.champions() == [rule.champion(day) for day in DAYS]
        past |= {rows[-1][1]: play.champions()} if rows else {}
    assert {instant: play.replayed(instant) for instant in past} == past
    see_as_of(play.con, datetime.max.replace(tzinfo=UTC))


PROMOTE = """
import sys
from tasks.registry.promotions import promote_by_name
from tasks.warehouse.connection import Warehouse
from tasks.warehouse.settings import WarehouseSettings
print("ready", flush=True)
sys.stdin.readline()
bank = Warehouse(WarehouseSettings.model_validate_json(sys.argv[1]), "bank")
promote_by_name(bank, sys.argv[2], None, "at once")
"""


@pytest.mark.soak
@pytest.mark.slow
@pytest.mark.parametrize("warehouse", ["file", "sqlite"], indirect=True)
def test_of_two_that_are_promoted_at_once_both_are_in_the_table_and_one_is_champion(
    registry: Registry,
) -> None:
    for version in VERSIONS:
        registry.add(version)
    command = [sys.executable, "-c", PROMOTE, registry.warehouse.model_dump_json()]
    both = [
        subprocess.Popen([*command, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for name in "ab"
    ]
    for process in both:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    for process in both:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.communicate(timeout=60) and process.returncode for process in both] == [0, 0]
    first, second = registry.promotions()
    assert {first[2], second[2]} == {"a", "b"}
    assert first[1] < second[1]
    assert registry.champions() == [second[2]] * len(DAYS)
    assert registry.roll_back().version == first[2]  # a rollback writes in every engine as well
    assert registry.champions() == [first[2]] * len(DAYS)


def test_unless_told_a_promotion_changes_no_scored_night_and_nothing_takes_over_from_it(
    registry: Registry,
) -> None:
    registry.add("a")
    registry.add("b", DAYS[1])
    registry.add("c", DAYS[6])
    assert registry.promote("a").effective_from == START
    registry.do(ADD_RUN, day=DAYS[2], version="a")
    change = registry.promote("b")
    assert (change.effective_from, change.before, change.scored_by_others) == (DAYS[3], "a", ())
    assert registry.promote("c").effective_from == DAYS[6]
    assert registry.promote("b").effective_from == DAYS[6]
    assert registry.champions() == ["a"] * 3 + ["b"] * 5
    assert not registry.promote("b").done


def test_a_version_of_another_configuration_is_not_promoted(registry: Registry) -> None:
    registry.add("a", training_hash="another")
    status, output, errors = registry.invoke("promote", "a")
    assert (status, output, registry.promotions()) == (1, "", [])
    assert "a was trained with another configuration than this one, which cannot use it" in errors
    assert registry.promote("a").done  # with its own configuration, which is not asked here
    back = registry.invoke("rollback")
    assert back[0] == 1


def test_versions_that_others_are_compared_with_are_no_challengers(registry: Registry) -> None:
    config = Path(registry.warehouse.uri).parent / "nightscore.toml"
    config.write_text(
        CONFIG.replace('["x"]', '["x", "risk"], label_derived = ["risk"]').replace(
            'id = "id" }', 'id = "id", label = "fraud" }'
        )
    )
    settings = load_settings(config)
    registry.add("reduced", training_hash=training_identity(settings.without_label_derived()).current)
    registry.add("whole", training_hash=training_identity(settings).current)
    done = CliRunner().invoke(app, ["models", "--config", str(config)], terminal_width=200)
    lines = {line.split()[1]: line for line in done.stdout.splitlines() if line.startswith("│")}
    assert "comparison" in lines["reduced"]
    assert "challenger" in lines["whole"]


def test_nights_that_another_version_has_scored_are_named_and_stay(registry: Registry) -> None:
    for version in "ab":
        registry.add(version)
    registry.promote("a")
    for day in DAYS[:4]:
        registry.do(ADD_RUN, day=day, version="a")
    before = registry.rows("from runs order by all")
    status, output, _ = registry.invoke("promote", "b", "--from", str(DAYS[2]), "--why", "fewer [alarms]")
    assert status == 0
    assert f"b is champion from {DAYS[2]} on, instead of a; by " in output
    assert ": fewer [alarms]." in output
    assert "another configuration" not in output
    assert f"Committed nights that another version has scored: {DAYS[2]} by a, {DAYS[3]} by a." in output
    assert f"`nightscore run --force --date {DAYS[2]}`" in output
    again = registry.invoke("promote", "b", "--from", str(DAYS[3]))
    assert (again[0], len(registry.promotions())) == (0, 2)
    assert f"b is the champion of {DAYS[3]} already; nothing was changed." in again[1]
    back = json.loads(registry.invoke("rollback", "--json")[1])
    assert (back["version"], back["before"], back["effective_from"], back["scored_by_others"]) == (
        "a",
        "b",
        str(DAYS[2]),
        [],
    )
    assert registry.rows("from runs order by all") == before


@pytest.fixture(scope="module")
def unfit(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """A champion with none before it, and versions of which none may become one; nothing that the tests do
    changes it.
    """
    folder = tmp_path_factory.mktemp("unfit")
    registry = Registry(WarehouseSettings(uri=str(folder / "w.duckdb"), files=str(folder / "files")))
    for name, as_of in (
        ("2026-01-01-aaaa", START),
        ("late", DAYS[3]),
        ("pruned", START),
        ("changed", START),
        ("gone", START),
    ):
        registry.add(name, as_of)
    registry.add("kept-out", withheld="usefulness failed. It is worse than no model.")
    registry.do(sql.read("retention/mark_versions_pruned"), versions=["pruned"])
    (registry.artifact("changed") / "network_0.keras").write_text("another")
    (registry.artifact("gone") / MANIFEST).unlink()
    registry.promote("2026-01-01-aaaa")
    return registry


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (
            ["promote", "2026-01-01-aaab"],
            "no version 2026-01-01-aaab is registered; the nearest: 2026-01-01-aaaa",
        ),
        (["promote", "kept-out"], "kept-out is withheld: usefulness failed."),
        (["promote", "pruned"], "the artifact of pruned was pruned at "),
        (["promote", "changed"], "network_0.keras is not the file that was written"),
        (["promote", "gone"], "manifest.json is missing"),
        (
            ["promote", "late", "--from", str(START)],
            f"late never scores a date before its as_of {DAYS[3]}; give that or a later one",
        ),
        (["rollback"], "2026-01-01-aaaa is champion and no other version was before it"),
    ],
)
def test_what_cannot_be_champion_is_refused_in_one_line_and_nothing_changes(
    unfit: Registry, arguments: list[str], complaint: str
) -> None:
    before = unfit.promotions()
    status, output, errors = unfit.invoke(*arguments)
    assert (status, output) == (1, "")
    assert complaint in errors
    assert errors.count("\n") == 1
    assert unfit.promotions() == before


@pytest.mark.parametrize("arguments", [["promote", "a"], ["rollback"], ["models"]])
def test_no_warehouse_is_made_by_a_mistake(registry: Registry, arguments: list[str]) -> None:
    status, _, complaint = registry.invoke(*arguments)
    assert (status, complaint.count("\n")) == (1, 1)
    assert "there is no warehouse at" in complaint
    assert not Path(registry.warehouse.uri).exists()


def test_a_rollback_does_not_put_back_what_cannot_serve(registry: Registry) -> None:
    for version in "ab":
        registry.add(version)
        registry.promote(version)
    (registry.artifact("a") / "detector.json").write_text("another")
    with pytest.raises(ArtifactError, match=r"detector\.json is not the file that was written"):
        registry.roll_back()
    assert registry.champions() == ["b"] * len(DAYS)


def test_what_a_rollback_would_put_back_is_never_pruned(registry: Registry) -> None:
    for version, first in zip(VERSIONS, DAYS, strict=False):
        registry.add(version)
        registry.promote(version, first)
    later = datetime.now(UTC) + timedelta(days=900)
    values = {"oldest": later.date(), "instant": later, "scores": True, "waiting": []}
    with Warehouse(registry.warehouse, "bank").reading() as con:
        assert [
            row[0] for row in con.execute(sql.read("retention/list_prunable_versions"), values).fetchall()
        ] == ["a"]


def test_the_list_tells_of_every_version_what_is_known_of_it_now_and_then(registry: Registry) -> None:
    registry.add("2026-01-01-aaaaaaaa")
    registry.promote("2026-01-01-aaaaaaaa")
    then = datetime.now(UTC)
    registry.add("2026-01-05-bbbbbbbb", DAYS[4], withheld="loss failed. It did not fall.")
    registry.add("2026-01-06-cccccccc", DAYS[5])
    registry.promote("2026-01-06-cccccccc")
    for day, value in ((DAYS[0], 0.9), (DAYS[1], 0.25)):
        for metric in ("average_precision", "card_precision_at_100", "card_precision_at_20"):
            registry.do(
                ADD_FIGURE,
                day=day,
                version="2026-01-01-aaaaaaaa",
                metric=metric,
                value=value + metric.endswith("20"),
            )
    registry.do(
        ADD_FIGURE,
        day=DAYS[2],
        version="2026-01-01-aaaaaaaa, 2026-01-06-cccccccc",
        metric="average_precision",
        value=0.5,
    )

    newest, withheld, oldest = registry.listed().values()
    assert (newest.version, newest.judged, newest.champion[0].effective_until) == (
        "2026-01-06-cccccccc",
        None,
        None,
    )
    assert (withheld.champion, withheld.withheld) == ([], "loss failed. It did not fall.")
    assert [(period.effective_from, period.effective_until) for period in oldest.champion] == [
        (START, DAYS[5])
    ]
    assert oldest.judged
    assert (oldest.judged.last_date, oldest.judged.metrics["average_precision"]["value"]) == (DAYS[1], 0.25)

    (alone,) = registry.listed(then).values()
    assert (alone.champion[0].effective_until, alone.judged) == (None, None)
    listed = json.loads(registry.invoke("models", "--json", "--as-of", then.isoformat())[1])
    assert [version["version"] for version in listed["versions"]] == ["2026-01-01-aaaaaaaa"]
    assert listed["versions"][0]["gates"] == GATES

    output = registry.invoke("models")[1]
    table, words = output.split("Champion: ")
    assert max(map(len, table.splitlines())) <= 160
    for shown in (
        "2026-01-01..01-05",
        "2026-01-06..",
        "2025-12-23..12-29",
        "1,234,567",
        "0.250",
        "1.250",
        "1 warned",
        "withheld",
    ):
        assert shown in table
    assert words.startswith("2026-01-06-cccccccc from 2026-01-06 on; by ")
    assert "Withheld: 2026-01-05-bbbbbbbb: loss failed. It did not fall." in words


def test_a_new_champion_is_notified_and_an_unchanged_one_is_not(registry: Registry) -> None:
    for name in "ab":
        registry.add(name)
    with listening(200) as hook:
        webhook = f'[notify]\nwebhooks = [{{ url = "{hook.url}" }}]'
        for command in (["promote", "a"], ["promote", "b"], ["promote", "b"], ["rollback", "--why", "worse"]):
            assert registry.invoke(*command, more=webhook)[0] == 0
    events = [(body["event"], body["model_version"]) for body in hook.bodies]
    assert events == [("promoted", "a"), ("promoted", "b"), ("promoted", "a")]
    assert "worse" in hook.bodies[-1]["message"]


@pytest.mark.slow
@pytest.mark.soak
def test_a_night_is_scored_by_whoever_was_promoted_or_put_back(scored_bank: Bank) -> None:
    (first,), second = (
        scored_bank.table("from champions")["version"],
        retrain(scored_bank.config, NIGHT + timedelta(days=1), promote=True).name,
    )
    where = ["--config", str(scored_bank.config)]
    day = NIGHT + timedelta(days=1)
    assert nightly(scored_bank.config, day).model_version == second
    back = CliRunner().invoke(app, ["rollback", *where])
    assert f"Committed nights that another version has scored: {day} by {second}." in back.stdout
    assert nightly(scored_bank.config, day).model_version == first
    promoted = json.loads(CliRunner().invoke(app, ["promote", second, *where, "--json"]).stdout)
    assert promoted["effective_from"] == str(day + timedelta(days=1))
    assert promoted["training_hash"] == training_identity(load_settings(scored_bank.config)).current
    assert nightly(scored_bank.config, day).status == "already committed"
    assert nightly(scored_bank.config, day + timedelta(days=1)).model_version == second
