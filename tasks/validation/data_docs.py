"""The night's Data Docs: a page made by the renderers of Great Expectations, without scripts and without
anything to fetch.
"""

import re
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from great_expectations.core import ExpectationSuiteValidationResult, ExpectationValidationResult
from great_expectations.core.run_identifier import RunIdentifier
from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
from great_expectations.render.renderer.page_renderer import ValidationResultsPageRenderer
from great_expectations.render.view.view import DefaultJinjaPageView
from jinja2 import ChoiceLoader, DictLoader

from tasks.core.atomic_files import write_atomically
from tasks.core.dataset import Dataset
from tasks.core.masking import MASK
from tasks.core.references import Partition
from tasks.validation.gate import RuleResult

# The page of Great Expectations loads its style and scripts from the network. This page has the same sections
# and needs neither; its policy keeps a browser from fetching anything, whatever a source value contains.
PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ heading | e }}</title>
<style>{{ style }}</style>
</head>
<body>
<header><h1>{{ heading | e }}</h1><p>{{ outcome | e }}</p><p>{{ rules | e }}</p>
<p class="judged">{{ judged | e }}</p></header>
{% if bad_rows %}<section class="bad-rows"><h2>{{ bad_rows_title | e }}</h2>
<table><thead><tr><th>Column</th><th>Rule</th><th>Rows</th><th>Ids</th></tr></thead><tbody>
{% for line in bad_rows %}<tr>{% for cell in line %}<td>{{ cell | e }}</td>{% endfor %}</tr>
{% endfor %}</tbody></table></section>
{% endif %}<label class="failed-only"><input type="checkbox" id="failed-only"> Only what failed</label>
<main>
{% for section in sections %}{% set section_loop = loop %}{% include 'section.j2' %}{% endfor %}
</main>
</body>
</html>
"""
SHOWN_IDS = 20  # of each rule
COLLAPSE = """<details>
<summary>{{ content_block.get("collapse_toggle_link", "More") | render_content_block }}</summary>
{% for block in content_block["collapse"] %}{{ block | render_content_block }}{% endfor %}</details>
"""
STYLE = """
:root { color-scheme: light dark; --page: #ffffff; --soft: #f3f4f6; --ink: #16202c; --good: #1a7f37;
  --bad: #cf222e; --line: #c9ced6 }
@media (prefers-color-scheme: dark) { :root { --page: #11161c; --soft: #1d252e; --ink: #e8edf3;
  --good: #4ac26b; --bad: #ff7b72; --line: #3d4854 } }
body { background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, sans-serif;
  max-width: 70rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.6rem; margin: 0 } h5 { font-size: 1.1rem; margin: 0 } h6 { font-size: 1rem;
  margin: .6rem 0 .2rem }
header p { margin: .3rem 0 0; font-size: 1.1rem } header { margin-bottom: 1rem }
.bad-rows { margin: 1rem 0 } .bad-rows h2 { font-size: 1.1rem; margin: 0 0 .3rem }
.bad-rows td:last-child { overflow-wrap: anywhere; width: 60% }
.ge-section { border: 1px solid var(--line); border-radius: 8px; margin: 1rem 0; overflow: hidden;
  padding-bottom: .4rem }
.alert-secondary { background: var(--soft); padding: .6rem 1rem } .alert-secondary a { color: inherit;
  text-decoration: none }
.table-responsive, details { padding: 0 1rem; overflow-x: auto } details { margin-bottom: .4rem }
summary { cursor: pointer }
table { border-collapse: collapse; width: 100% } th, td { text-align: left; vertical-align: top;
  padding: .35rem .6rem }
td { border-top: 1px solid var(--line) } td > div > span { display: block }
td:first-child:nth-last-child(3) { width: 4rem } td:last-child:nth-child(3) { width: 14rem }
.table-bordered { width: auto; margin: .3rem 0; font-size: .9em }
.table-bordered td { font-family: ui-monospace, monospace }
i.text-success::before { content: "\\2714"; color: var(--good) }
i.text-danger::before { content: "\\2718"; color: var(--bad) }
strong br { display: none }
.text-danger { color: var(--bad) } .text-success { color: var(--good) } strong { font-weight: 600 }
body:has(#failed-only:checked) :is(tr:has(i.text-success),
  .ge-section:not(:first-child):not(:has(i.text-danger))) { display: none }
"""


def write_page(
    path: Path,
    dataset: Dataset,
    partition: Partition,
    results: Sequence[RuleResult],
    quarantined: int,
    reasons: Sequence[str] = (),
) -> Path:
    """Writes the results for one partition as one self-contained HTML page, with private values masked, and
    returns `path`.

    reasons: why the partition is rejected; none if it is accepted.
    """
    private = dataset.columns.private
    shown = [_gx_result(result, masked=result.column in private) for result in results]
    document = ValidationResultsPageRenderer().render(_suite_result(dataset, partition, shown, not reasons))
    page = _view().render(  # type: ignore[no-untyped-call]
        document,
        heading=f"Data quality of {dataset.name}, {partition.date}",
        outcome=f"rejected: {reasons[0]}"
        if reasons
        else f"accepted, {quarantined:,} of {partition.rows:,} rows quarantined",
        rules=f"{len(shown)} rules, {sum(not result.success for result in shown)} broken",
        judged=_judged(partition, results),
        bad_rows_title="Rows that break a rule" if reasons else "Quarantined rows",
        bad_rows=[
            (
                result.column or "",
                result.rule,
                f"{result.broken:,}",
                _ids(result, dataset.columns.id in private),
            )
            for result in results
            if result.broken
        ],
        style=STYLE,
    )
    write_atomically(path, re.sub(r' href="\.\./[^"]*"', "", page))  # removes links to other pages of a site
    return path


def _judged(partition: Partition, results: Sequence[RuleResult]) -> str:
    """Returns how many rows were judged how, as a sentence."""
    judged = [result.judged for result in results if result.judged is not None]
    counted = len(results) - len(judged)
    by_count = f"{counted} rules were counted over all {partition.rows:,} rows: nothing breaks them"
    most = f" (at most {max(judged, default=0):,} rows)"
    return f"{by_count}. {len(judged)} were judged by Great Expectations, on all that could break them{most}."


def _ids(result: RuleResult, masked: bool) -> str:
    """Returns the first SHOWN_IDS ids of the rows that break a rule, and the number of the others."""
    if masked:
        return MASK
    first = result.rows.sort("id", "copy", nulls_last=True).head(SHOWN_IDS)
    shown = [
        ("without an id" if row_id is None else row_id) + (f" (copy {copy})" if copy else "")
        for row_id, copy in first.select("id", "copy").iter_rows()
    ]
    more = result.broken - len(shown)
    return ", ".join(shown) + (f" and {more:,} more" if more else "")


@cache
def _view() -> DefaultJinjaPageView:
    view = DefaultJinjaPageView()
    loaders = [DictLoader({"page.j2": PAGE, "collapse.j2": COLLAPSE})] + (
        [view.env.loader] if view.env.loader else []
    )
    view.env.loader = ChoiceLoader(loaders)
    return view


def _suite_result(
    dataset: Dataset, partition: Partition, results: list[ExpectationValidationResult], accepted: bool
) -> ExpectationSuiteValidationResult:
    good = sum(bool(result.success) for result in results)
    return ExpectationSuiteValidationResult(
        success=accepted,  # shown as the status of the partition
        results=results,
        suite_name=dataset.name,
        statistics={
            "evaluated_expectations": len(results),
            "successful_expectations": good,
            "unsuccessful_expectations": len(results) - good,
            "success_percent": 100 * good / len(results),
        },
        meta={
            "run_id": RunIdentifier(run_name=f"{dataset.name} {partition.date}", run_time=datetime.now(UTC)),
            "batch_spec": {
                "data_asset_name": str(partition.date),
                "fingerprint": partition.fingerprint,
                "rows": partition.rows,
            },
        },
    )


def _gx_result(result: RuleResult, masked: bool) -> ExpectationValidationResult:
    """Returns a result for the renderers of Great Expectations, with its text escaped: their templates do not
    escape it.
    """
    config = result.expectation
    column = {} if result.column is None else {"column": escape(result.column).replace("$", "&#36;")}
    shown = ExpectationConfiguration(
        type=config.type,
        kwargs={**config.kwargs, **column},
        meta=dict(config.meta),
        description=escape(f"{config.description} [{result.rule}]"),
    )
    return ExpectationValidationResult(
        success=result.success,
        expectation_config=shown,
        result=_numbers(result, masked),
        exception_info={"raised_exception": False, "exception_message": None, "exception_traceback": None},
    )


def _numbers(result: RuleResult, masked: bool) -> dict[str, Any]:
    if result.checked == 0 or result.observed is not None:
        return {"observed_value": None if result.observed is None else escape(str(result.observed))}
    bad = result.broken
    examples = () if result.rule == "not_null" else result.examples
    values = Counter(MASK if masked else escape(str(value)) for value in examples)
    return {
        "element_count": result.checked,
        "missing_count": result.missing,
        "unexpected_count": bad,
        "unexpected_percent": 100 * bad / result.checked,
        "partial_unexpected_list": list(values),
        "partial_unexpected_counts": [
            {"value": value, "count": count} for value, count in values.most_common()
        ],
    }
