-- The tables and views of one dataset, created in the dataset's own schema of the warehouse.
-- No primary or foreign keys: a DuckLake has none. Times are instants (UTC); dates are business dates of the source.

-- Grain: one row per committed, rejected or failed run. Committed and not superseded = current.
create table if not exists runs (
    run_id varchar,
    partition_date date,
    status varchar,                 -- committed | rejected | failed
    source_fingerprint varchar,     -- content of the partition and its look-back, label and weight left out
    config_hash varchar,            -- the sections that decide scores
    model_version varchar,
    rows_source bigint,
    rows_scored bigint,
    rows_quarantined bigint,        -- distinct source rows
    rows_flagged bigint,
    threshold double,               -- score from which a row is flagged
    threshold_rule varchar,         -- JSON: the section [threshold] that decided it
    started_at timestamptz,
    committed_at timestamptz,
    superseded_at timestamptz,
    superseded_by varchar,
    durations varchar,              -- JSON: seconds by step
    data_docs varchar,              -- the night's validation page, below warehouse.files
    message varchar,                -- why it was rejected or failed; of a committed run, what was noted and accepted
    pruned_at timestamptz,          -- when its rows were dropped by `nightscore prune`; null where they are there
);

-- Grain: one row per run and scored source row.
create table if not exists score_rows (
    run_id varchar,
    partition_date date,
    id varchar,
    entity varchar,
    event_time timestamp,           -- local time of source.timezone
    error real,                     -- mean loss over features, encoded units; higher is stranger
    score real,                     -- what rows are ranked by
    p_value double,                 -- conformal, against held-out normal rows
    rank bigint,                    -- 1 is the strangest of its run; equal scores share a rank
    is_flagged boolean,
    reasons struct(feature varchar, contribution double, observed varchar, expected varchar)[],
    details varchar,                -- JSON: the source columns of columns.details; null without
    model_version varchar,
);

-- Grain: one row per run, challenger and scored source row: what the challenger, which flags nothing, would have said of the row.
create table if not exists shadow_scores (
    run_id varchar,                 -- entity and event_time are in score_rows
    partition_date date,
    id varchar,
    error real,
    score real,
    p_value double,
    rank bigint,
    is_flagged boolean,             -- what it would have flagged
    model_version varchar,
);

-- Grain: one row per run and feature, and one for the error: the rows of the night below its threshold (a sample of them, where they are many)
-- in the bins of the version's own normal rows, and those, cut at the same threshold. The last bin of a numeric feature is for missing values.
create table if not exists profiles (
    run_id varchar,
    partition_date date,
    model_version varchar,          -- the champion's
    feature varchar,
    kind varchar,                   -- numeric | category | error
    weight double,                  -- how many rows of the night each counted one stands for
    counts bigint[],                -- rows by bin
    sums double[],                  -- of their values, encoded units; null but for numeric features
    reference_counts bigint[],
    reference_sums double[],
);

-- Grain: one row per run, bad source row and rule that it broke.
create table if not exists quarantine (
    run_id varchar,
    partition_date date,
    source_row bigint,              -- position in the partition, from 0
    id varchar,
    rule varchar,
    column_name varchar,            -- null for a rule across columns
    content varchar,                -- the row as JSON, private columns masked
);

-- Grain: one row per id, source and change of its label, append-only; the newest known_at counts, then the newest recorded_at.
create table if not exists labels (
    id varchar,
    partition_date date,
    label boolean,
    weight double,                  -- sample weight, used by metrics alone
    known_at date,                  -- known from the end of this date
    source varchar,                 -- source: the source's own label column; else who says so, such as analyst or chargeback
    recorded_at timestamptz,        -- when it was written here
);

-- Grain: one row per trained version.
create table if not exists models (
    version varchar,
    as_of date,                     -- it never scores a date before this one
    first_date date,                -- training window
    last_date date,
    rows bigint,                    -- training rows
    dates bigint,                   -- dates of the window that they are of
    known_frauds bigint,            -- of the window, left out of the training rows
    unconfirmed bigint,             -- training rows that nothing was fitted to: flagged, and no label says what they are
    contamination double,           -- known_frauds and unconfirmed, as a share of all rows of the window
    architecture varchar,
    score varchar,
    training_hash varchar,          -- the sections that decide the version
    metrics varchar,                -- JSON
    gates varchar,                  -- JSON, one object per sanity gate: name, passed (null: only reported), finding
    withheld varchar,               -- why it may not be promoted; null where it may
    artifact_path varchar,          -- below warehouse.files
    artifact_sha256 varchar,        -- of the artifact's manifest
    card_path varchar,              -- below warehouse.files
    device varchar,
    trained_at timestamptz,
    pruned_at timestamptz,          -- when its artifact was dropped by `nightscore prune`; null where it is there
);

-- Grain: one row per promotion, and per promotion that a rollback undoes; append-only. In force is a promotion that no rollback undoes.
-- Champion of a date: of those in force the newest effective_from up to it, then the newest promoted_at; see the view `champions`.
create table if not exists promotions (
    effective_from date,
    promoted_at timestamptz,        -- later than that of every earlier row, so it names the row
    version varchar,                -- of a rollback: the one that it puts back
    promoted_by varchar,
    why varchar,
    undoes timestamptz,             -- promoted_at of the promotion that this rollback undoes; null for a promotion
);

-- Grain: one row per challenger, append-only: it is decided on once, by its scores and the champion's of the same rows of first_date..last_date.
create table if not exists decisions (
    version varchar,                -- the challenger
    champion varchar,               -- the version that it was compared with
    as_of date,                     -- after the night of this date, by the labels known at its end
    first_date date,
    last_date date,
    dates bigint,                   -- dates of that window that both have scored
    rows bigint,                    -- compared rows: those with a known label, or all where too few frauds are known
    frauds bigint,                  -- known frauds among them
    rule varchar,                   -- labels: by the metric; agreement: by alerts and scores, where too few frauds are known
    metric varchar,                 -- with its two values, null by agreement
    champion_value double,
    challenger_value double,
    difference double,              -- challenger minus champion, with its paired bootstrap interval
    low double,
    high double,
    overlap double,                 -- alerts of both, as a share of the alerts of either; null by labels
    shift double,                   -- Kolmogorov-Smirnov distance of the p-values of both; null by labels
    fit boolean,                    -- the rule's verdict
    promoted boolean,               -- whether that made it champion: not so where training.promotion is manual
    why varchar,                    -- the verdict in words
    decided_at timestamptz,
);

-- Grain: one row per window, label cut-off, detector, feature set and metric; the newest measured_at counts.
create table if not exists metrics (
    first_date date,
    last_date date,
    as_of date,                     -- labels known by the end of this date
    model_version varchar,
    detector varchar,               -- nightscore, or a baseline; drift, see the view of that name
    features varchar,               -- all | without label-derived; of drift: one feature, or error
    metric varchar,
    value double,
    low double,                     -- 95% interval
    high double,
    rows bigint,
    positives bigint,
    measured_at timestamptz,
);

-- Grain: exactly one row; every publisher updates it, so that two at once conflict on every engine.
create table if not exists publish_lock (
    updated_at timestamptz,
);

-- Every view shows what it showed at the instant of the variable `as_of` (`set variable as_of = timestamptz '...'`); now unless set.

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

-- Grain: one row per scored source row of the current runs and version that scored it, the champion or a challenger.
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

-- Grain: one row per date, of a current run, and feature, or `error`: how far the rows of the dates first_date..partition_date are from those
-- that the version learnt from. is_over: beyond a limit of the section [drift] of that time.
-- psi: population stability index; wasserstein: encoded units, null of a category; error_q..: relative change of that quantile of the error.
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
-- rows_flagged: the entity's flagged rows of this date. flagged_last_30_days: those of the 30 dates before it, of the current runs.
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

-- Grain: one row per promotion that decides a champion: that of effective_from and of the dates after it, before effective_until (null: of
-- all of them). The periods do not overlap.
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
