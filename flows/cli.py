"""The command line. Every command imports what it needs when it runs, so that help and `sql` answer at once."""

import dataclasses
import json
import sys
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.console import Failing, data_table, say, show_progress
from flows.server import starting_server
from flows.settings import find_config, load_settings

if TYPE_CHECKING:
    from tasks.judgement import Evaluation

app = typer.Typer(
    cls=Failing,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Nightly anomaly and fraud scoring: validate, score, publish exactly once, report precision and recall.",
)

Day = Annotated[datetime, typer.Option("--date", formats=["%Y-%m-%d"], help="The business date.")]
First = Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="First date.")]
Last = Annotated[datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="Last date.")]
AsOf = Annotated[datetime, typer.Option("--as-of", formats=["%Y-%m-%d"], help="The business date whose knowledge is used.")]
LabelsAsOf = Annotated[
    datetime | None, typer.Option("--as-of", formats=["%Y-%m-%d"], help="Judge by the labels known then; today unless given.")
]
Config = Annotated[Path | None, typer.Option("--config", help="The TOML file; else $NIGHTSCORE_CONFIG, else ./nightscore.toml.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of a failure.", callback=Failing.set_debug, is_eager=True)]


@app.command()
def run(
    day: Day,
    force: Annotated[bool, typer.Option("--force", help="Score again although the same night is committed.")] = False,
    config: Config = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Score one night and commit it.  Example: nightscore run --date 2018-07-25"""
    path = find_config(config)
    load_settings(path)
    show_progress()
    with starting_server():
        from flows.nightly import nightly

    night = nightly(path, day.date(), force)
    if as_json:
        _print_json(dataclasses.asdict(night))
        return
    say(
        f"{night.date}: {night.status} as {night.run_id}. {night.rows_source:,} rows = {night.rows_scored:,} scored"
        f" + {night.rows_quarantined:,} quarantined; {night.rows_flagged:,} flagged by {night.model_version}."
    )


@app.command()
def train(as_of: AsOf, config: Config = None, as_json: AsJson = False, debug: Debug = False) -> None:
    """Train a new version and promote it.  Example: nightscore train --as-of 2018-07-25"""
    path = find_config(config)
    load_settings(path)
    show_progress()
    with starting_server():
        from flows.training import retrain

    version = retrain(path, as_of.date())
    if as_json:
        _print_json(dataclasses.asdict(version))
        return
    say(
        f"{version.name}: trained on {version.first_date}..{version.last_date}, champion from {version.as_of} on; stored in {version.path}."
    )


@app.command()
def evaluate(
    first: First,
    last: Last,
    as_of: LabelsAsOf = None,
    config: Config = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Judge a window of nights by its labels; nights that are not committed yet are scored first.

    Example: nightscore evaluate --from 2018-07-25 --to 2018-07-31
    """
    path = find_config(config)
    load_settings(path)
    show_progress()
    with starting_server():
        from flows.evaluation import evaluate_window

    judged, page = evaluate_window(path, first.date(), last.date(), as_of.date() if as_of else None)
    _show(judged, page, as_json)


@app.command()
def report(config: Config = None, as_json: AsJson = False, debug: Debug = False) -> None:
    """Judge the newest matured nights and write their page.  Example: nightscore report"""
    path = find_config(config)
    load_settings(path)
    show_progress()
    with starting_server():
        from flows.evaluation import evaluate_newest

    judged, page = evaluate_newest(path)
    _show(judged, page, as_json)


@app.command()
def explain(
    day: Day,
    row_id: Annotated[str, typer.Option("--id", help="The row's id.")],
    config: Config = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Show every feature's share in the score of one row.  Example: nightscore explain --date 2018-07-25 --id 1106407"""
    settings = load_settings(config)
    from flows.context import recipe_of
    from flows.summary import explanation_table
    from tasks.explain import explain_row
    from tasks.staging import staging_folder

    with staging_folder(settings.files, day.date()) as staging:
        explained = explain_row(recipe_of(settings), settings.warehouse, day.date(), row_id, staging)
    if as_json:
        _print_json(dataclasses.asdict(explained))
        return
    explanation_table(explained)


@app.command()
def sql(
    text: Annotated[str, typer.Argument(help="One statement over the dataset's tables and views.")],
    config: Config = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Query the results, read-only.  Example: nightscore sql "from alerts limit 20\""""
    settings = load_settings(config)
    from tasks.query import query

    answer = query(settings.warehouse, settings.name, text)
    if as_json:
        _print_json([dict(zip(answer.columns, row, strict=True)) for row in answer.rows])
        return
    data_table(answer.columns, answer.rows)


@app.command()
def demo(
    folder: Annotated[Path, typer.Option("--folder", help="Where the demo keeps its data and results.")] = Path("demo"),
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Simulate two months of card transactions, score the last 7 nights, judge them.  Example: nightscore demo"""
    show_progress()
    with starting_server():
        from flows.demo import play
        from flows.summary import evaluation_tables

    nights, judged, page = play(folder)
    if as_json:
        _print_json(judged.to_json(str(page)))
        return
    evaluation_tables(judged)
    if all(night.status == "already committed" for night in nights):
        say(f"All {len(nights)} nights were already committed; {nights[-1].model_version} was used as it is.")
    config, program = folder / "nightscore.toml", sys.argv[0] if sys.argv[0].endswith("nightscore") else "nightscore"
    say(
        f"Report: {page}\n\nTry next:\n"
        f'  {program} sql --config {config} "from alerts limit 10"\n'
        f"  {program} train --config {config} --as-of {nights[-1].date}\n"
        f"  {program} init --path FOLDER_WITH_YOUR_PARTITIONS"
    )


@app.command()
def doctor(config: Config = None, as_json: AsJson = False, debug: Debug = False) -> None:
    """Check versions, configuration, source, warehouse, disk and device.  Example: nightscore doctor"""
    settings = load_settings(config)
    from flows.summary import health_table
    from tasks.health import checks

    found = checks(settings, settings.warehouse.uri, Path(settings.warehouse.files))
    if as_json:
        _print_json([dataclasses.asdict(check) for check in found])
    else:
        health_table(found)
    if any(check.ok is False for check in found):
        raise typer.Exit(1)


@app.command()
def init(
    path: Annotated[str | None, typer.Option("--path", help="A folder of Parquet partitions, or a pattern with {date}.")] = None,
    database: Annotated[str | None, typer.Option("--database", help="A DuckDB file.")] = None,
    table: Annotated[str | None, typer.Option("--table", help="The table in it.")] = None,
    name: Annotated[str, typer.Option("--name", help="The dataset's name, and its schema in the warehouse.")] = "transactions",
    out: Annotated[Path, typer.Option("--out", help="The file to write; an existing one is kept.")] = Path("nightscore.toml"),
    debug: Debug = False,
) -> None:
    """Look at a source and write a commented configuration for it.  Example: nightscore init --path data/transactions"""
    from flows.errors import SettingsError
    from tasks.inspect_source import look_at, render_toml

    if out.exists():
        raise SettingsError(f"{out} exists and was left as it is; remove it, or name another with --out")
    if out.resolve().parent != Path.cwd():  # relative paths of a configuration are relative to its file
        path, database = (str(Path(place).resolve()) if place and "://" not in place else place for place in (path, database))
    out.write_text(render_toml(look_at(path, database, table), name), encoding="utf-8")
    load_settings(out)
    say(f"Wrote {out}. Read its guesses, then try `nightscore doctor --config {out}`.")


def _show(judged: "Evaluation", page: Path, as_json: bool) -> None:
    from flows.summary import evaluation_tables

    if as_json:
        _print_json(judged.to_json(str(page)))
        return
    evaluation_tables(judged)
    say(f"Report: {page}")


def _print_json(content: Any) -> None:
    def plain(value: Any) -> Any:
        return value.isoformat() if isinstance(value, date) else str(value)

    sys.stdout.write(json.dumps(content, default=plain) + "\n")


def main() -> None:
    """The entry point of the `nightscore` command."""
    app()


if __name__ == "__main__":
    main()
