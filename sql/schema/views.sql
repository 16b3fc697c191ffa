-- The views of one dataset, over the tables of tables.sql.
-- Every view shows what it showed at the instant of the variable `as_of` (`set variable as_of = timestamptz
-- '...'`); now unless set.

-- Grain: one row per current run.
create or replace view current_runs as
select *
from runs
where
    status = 'committed'
    and committed_at <= coalesce(getvariable('as_of')::timestamptz, 'infinity')
    and (superseded_at is null or superseded_at > coalesce(getvariable('as_of')::timestamptz, 'infinity'));

-- Grain: one row per scored source row of the current runs. What everybody queries.
create or replace view scores as
select score_rows.*
from score_rows
semi join current_runs using (run_id);

-- Grain: one row per scored source row of the current runs and version that scored it, the champion or a
-- challenger.
create or replace view version_scores as
select run_id, partition_date, id, error, score, p_value, rank, is_flagged, model_version
from scores
union all by name
select shadow_scores.*
from shadow_scores
semi join current_runs using (run_id);

-- Grain: one row per id: the newest label.
create or replace view latest_labels as
select id, partition_date, label, weight, known_at, source, recorded_at
from labels
where recorded_at <= coalesce(getvariable('as_of')::timestamptz, 'infinity')
qualify row_number() over (partition by id, partition_date order by known_at desc, recorded_at desc) = 1;

-- Grain: one row per bad source row and rule of the current runs.
create or replace view quarantined as
select quarantine.*
from quarantine
semi join current_runs using (run_id);

-- Grain: one row per window, label cut-off, detector, feature set and metric: the newest figure.
create or replace view latest_metrics as
select *
from metrics
where measured_at <= coalesce(getvariable('as_of')::timestamptz, 'infinity')
qualify row_number() over (
    partition by first_date, last_date, as_of, detector, features, metric
    order by measured_at desc
) = 1;

-- Grain: one row per date, of a current run, and feature, or `error`: how far the rows of the dates
-- first_date..partition_date are from those that the version learnt from. is_over: beyond a limit of the
-- section [drift] of that time. psi: population stability index; wasserstein: encoded units, null of a
-- category; error_q..: relative change of that quantile of the error.
create or replace view drift as
select
    runs.partition_date,
    runs.model_version,
    figures.features as feature,
    max(value) filter (metric = 'psi') as psi,
    max(value) filter (metric = 'wasserstein') as wasserstein,
    max(value) filter (metric = 'error_q50') as error_q50,
    max(value) filter (metric = 'error_q90') as error_q90,
    max(value) filter (metric = 'error_q99') as error_q99,
    bool_or(metric = 'over' and value > 0) as is_over,
    max(figures.rows) as rows,
    figures.first_date,
from latest_metrics as figures
join current_runs as runs on runs.partition_date = figures.last_date and runs.model_version = figures.model_version
where figures.detector = 'drift'
group by all
order by runs.partition_date desc, is_over desc, feature;

-- Grain: one row per date and entity with a flagged row: its strangest one, newest date first, worst first.
-- rows_flagged: the entity's flagged rows of this date. flagged_last_30_days: those of the 30 dates before
-- it, of the current runs.
create or replace view alerts as
with flagged as (
    select *, coalesce(entity, id) as alert_entity
    from scores
    where is_flagged
),
nightly_flags as (
    select
        partition_date,
        alert_entity,
        count(*) as rows_flagged,
        coalesce(sum(count(*)) over before, 0)::bigint as flagged_last_30_days,
    from flagged
    group by partition_date, alert_entity
    window before as (
        partition by alert_entity order by partition_date range between interval 30 days preceding and interval 1 day preceding
    )
),
worst as (
    select *
    from flagged
    qualify row_number() over (partition by partition_date, alert_entity order by rank, id) = 1
),
worded as (
    select
        *,
        list_transform(
            reasons, lambda reason: reason.feature || ' ' || reason.observed || ' (expected ' || reason.expected || ')'
        ) as words,
    from worst
)
select
    partition_date,
    row_number() over (partition by partition_date order by rank, id) as alert,
    alert_entity as entity,
    id,
    event_time,
    score,
    p_value,
    rows_flagged,
    flagged_last_30_days,
    array_to_string(words, '; ') as because,
    details,
    model_version,
    reasons,
from worded
join nightly_flags using (partition_date, alert_entity)
order by partition_date desc, alert;

-- Grain: one row per current run; where its rows were pruned, the ledger's own figures alone.
-- Precision and recall of the flags where labels are known, else null; to sum up several nights, add up
-- frauds, flagged_labelled (flagged rows whose label is known) and frauds_flagged.
create or replace view daily as
with judged as (
    select
        scores.run_id,
        median(score) as median_score,
        count(*) filter (label) as frauds,
        count(*) filter (is_flagged and label) as frauds_flagged,
        count(*) filter (is_flagged and label is not null) as flagged_labelled,
        count(label) as rows_labelled,
    from scores
    left join latest_labels using (id, partition_date)
    group by all
)
select
    partition_date,
    rows_source,
    rows_scored,
    rows_quarantined,
    rows_flagged,
    median_score,
    threshold,
    if(rows_labelled > 0, frauds, null) as frauds,
    if(rows_labelled > 0, flagged_labelled, null) as flagged_labelled,
    if(rows_labelled > 0, frauds_flagged, null) as frauds_flagged,
    frauds_flagged / nullif(flagged_labelled, 0) as precision,
    frauds_flagged / nullif(frauds, 0) as recall,
    model_version,
    committed_at,
from current_runs
left join judged using (run_id)
order by partition_date desc;

-- Grain: one row per promotion that no rollback has undone.
create or replace view promotions_in_force as
with known as (
    select *
    from promotions
    where promoted_at <= coalesce(getvariable('as_of')::timestamptz, 'infinity')
)
select effective_from, promoted_at, version, promoted_by, why
from known
anti join known as rollbacks on rollbacks.undoes = known.promoted_at
where undoes is null;

-- Grain: one row per promotion that decides a champion: that of effective_from and of the dates after it,
-- before effective_until (null: of all of them). The periods do not overlap.
create or replace view champions as
with deciding as (
    select *
    from promotions_in_force
    qualify row_number() over (partition by effective_from order by promoted_at desc) = 1
)
select
    version,
    effective_from,
    lead(effective_from) over (order by effective_from) as effective_until,
    promoted_at,
    promoted_by,
    why,
from deciding;

-- Grain: at most one row: the version that flags the newest nights.
create or replace view champion as
select champions.effective_from, champions.promoted_at, champions.promoted_by, champions.why, models.*
from champions
join models using (version)
where effective_until is null;
