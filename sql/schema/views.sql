-- The views of one dataset, over the tables of tables.sql.
-- After `set variable as_of = timestamptz '...'` every view shows what it showed at that instant; else now.

-- Grain: one row per current run.
create or replace view current_runs as
select *
from runs
where
    status = 'committed'
    and committed_at <= coalesce(getvariable('as_of')::timestamptz, 'infinity')
    and (superseded_at is null or superseded_at > coalesce(getvariable('as_of')::timestamptz, 'infinity'));

-- Grain: one row per scored source row of the current runs: the view to start from.
create or replace view scores as
select score_rows.*
from score_rows
semi join current_runs using (run_id);

-- Grain: one row per scored source row of the current runs and version, champion or challenger.
create or replace view version_scores as
select run_id, partition_date, id, error, score, p_value, rank, is_flagged, model_version
from scores
union all by name
select shadow_scores.*
from shadow_scores
semi join current_runs using (run_id);

-- Grain: one row per id and partition_date: its label in force; see the macro labels_known_at.
create or replace view latest_labels as
from labels_known_at('infinity'::date);

-- Grain: one row per id, partition_date and other source whose newest label is not the one in force; see the macro
-- label_conflicts_known_at.
create or replace view label_conflicts as
from label_conflicts_known_at('infinity'::date);

-- Grain: one row per answered id and partition_date: its newest answer.
create or replace view latest_answers as
select *
from answers
where recorded_at <= coalesce(getvariable('as_of')::timestamptz, 'infinity')
qualify row_number() over (partition by id, partition_date order by recorded_at desc) = 1;

-- Grain: one row per bad source row of the current runs and rule that it broke.
create or replace view quarantined as
select quarantine.*
from quarantine
semi join current_runs using (run_id);

-- Grain: one row per window, label cut-off, detector, feature set, population and metric: the newest measurement.
create or replace view latest_metrics as
select *
from metrics
where measured_at <= coalesce(getvariable('as_of')::timestamptz, 'infinity')
qualify row_number() over (
    partition by first_date, last_date, as_of, detector, features, population, metric
    order by measured_at desc
) = 1;

-- Grain: one row per date with a current run and feature (or `error`): the drift of the rows of the dates
-- first_date..partition_date from the rows that the version was trained on.
-- psi: population stability index. wasserstein: distance in encoded units, null for categories.
-- error_q50, error_q90, error_q99: relative change of that quantile of the error, null for features.
-- is_over: whether a limit of the section [drift] was exceeded, as configured when it was measured.
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
join current_runs as runs
    on runs.partition_date = figures.last_date
    and runs.model_version = figures.model_version
where figures.detector = 'drift'
group by all
order by runs.partition_date desc, is_over desc, feature;

-- Grain: one row per date and entity with a flagged row: its strangest row, newest date first, worst first.
-- entity: the id where the source has no entity. alert: 1 is the worst of its date.
-- flagged_by: known pattern, where the row is on the list in the order of the score, or unknown pattern, where it is in
-- that of the networks alone; null without a head or threshold.reserve. The two take turns in the list.
-- rows_flagged: the entity's flagged rows of this date; flagged_last_30_days: of the 30 dates before it.
-- because: the reasons as one text, each value with what is usual on the training rows (of a pixel, and before
-- format 4, with its reconstruction where that is another value).
-- status: confirmed where the newest answer to one of the entity's flagged rows of the date is fraud; else dismissed
-- where that to its strangest row is normal; else open. answered_by, note: of the newest answer to these rows.
-- is_quiet: whether an open alert is not shown, by the section [alerts]: the entity was dismissed on one of the
-- quiet_days dates before it, was not confirmed since, and is not so much stranger: its score is at most quiet_factor
-- times that of the dismissed alert (of another version, its p_value is not below that one's divided by the factor),
-- and its p_value is not the lowest that its version gives, unless that of the dismissed alert was.
-- quiet_tonight: so many alerts of the date are quiet, by which the list of the view `alerts` is shorter.
-- With a filter on partition_date, reasons and details are read of that date alone.
create or replace view all_alerts as
with flagged as (
    select
        run_id,
        partition_date,
        id,
        coalesce(entity, id) as alert_entity,
        score,
        p_value,
        rank,
        flagged_by,
        model_version,
        row_number() over (
            partition by partition_date, flagged_by
            order by if(flagged_by = 'unknown pattern', rank_alone, rank), rank, id
        ) / count(*) over (partition by partition_date, flagged_by) as place,
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
        partition by alert_entity
        order by partition_date
        range between interval 30 days preceding and interval 1 day preceding
    )
),
worst as (
    select *
    from flagged
    qualify row_number() over (partition by partition_date, alert_entity order by place, rank, id) = 1
),
answered as (
    select
        flagged.partition_date,
        flagged.alert_entity,
        bool_or(answer = 'fraud') as is_fraud,
        arg_max(answered_by, recorded_at) as answered_by,
        arg_max(coalesce(note, ''), recorded_at) as note,
    from flagged
    join latest_answers on latest_answers.id = flagged.id and latest_answers.partition_date = flagged.partition_date
    group by flagged.partition_date, flagged.alert_entity
),
with_status as (
    select
        worst.*,
        case
            when answered.is_fraud then 'confirmed'
            when latest_answers.answer = 'normal' then 'dismissed'
            else 'open'
        end as status,
        answered.answered_by,
        nullif(answered.note, '') as note,
        p_value <= 1.000001 / (1 + try_cast(models.metrics ->> 'held_out' as double)) as is_lowest,
    from worst
    left join answered
        on answered.partition_date = worst.partition_date and answered.alert_entity = worst.alert_entity
    left join latest_answers
        on latest_answers.id = worst.id and latest_answers.partition_date = worst.partition_date
    left join models on models.version = worst.model_version
),
rule_in_force as (
    select quiet_days, quiet_factor
    from alert_rules
    where written_at <= coalesce(getvariable('as_of')::timestamptz, 'infinity')
    order by written_at desc
    limit 1
),
quiet as (
    select distinct tonight.partition_date, tonight.alert_entity
    from with_status as tonight
    cross join rule_in_force
    join with_status as dismissed
        on dismissed.alert_entity = tonight.alert_entity
        and dismissed.partition_date < tonight.partition_date
        and date_diff('day', dismissed.partition_date, tonight.partition_date) <= quiet_days
    left join with_status as confirmed
        on confirmed.alert_entity = tonight.alert_entity
        and confirmed.status = 'confirmed'
        and confirmed.partition_date > dismissed.partition_date
        and confirmed.partition_date < tonight.partition_date
    where
        tonight.status = 'open'
        and dismissed.status = 'dismissed'
        and confirmed.id is null
        and case
            when tonight.model_version = dismissed.model_version then tonight.score <= dismissed.score * quiet_factor
            else tonight.p_value >= dismissed.p_value / quiet_factor
        end
        and (coalesce(not tonight.is_lowest, true) or coalesce(dismissed.is_lowest, false))
),
numbered as (
    select
        with_status.*,
        rows_flagged,
        flagged_last_30_days,
        row_number() over (
            partition by with_status.partition_date
            order by place, flagged_by, rank, with_status.id
        ) as alert,
        quiet.partition_date is not null as is_quiet,
        count(quiet.partition_date) over (partition by with_status.partition_date) as quiet_tonight,
    from with_status
    join nightly_flags
        on nightly_flags.partition_date = with_status.partition_date
        and nightly_flags.alert_entity = with_status.alert_entity
    left join quiet
        on quiet.partition_date = with_status.partition_date and quiet.alert_entity = with_status.alert_entity
)
select
    numbered.partition_date,
    alert,
    alert_entity as entity,
    numbered.id,
    event_time,
    numbered.score,
    numbered.p_value,
    numbered.flagged_by,
    rows_flagged,
    flagged_last_30_days,
    array_to_string(
        list_transform(
            reasons,
            lambda reason:
                reason.feature || ' ' || reason.observed
                || case
                    when reason.usual is not null then ' (' || reason.usual || ')'
                    when reason.expected <> reason.observed then ' (expected ' || reason.expected || ')'
                    else ''
                end
        ),
        '; '
    ) as because,
    details,
    numbered.model_version,
    reasons,
    status,
    is_quiet,
    answered_by,
    note,
    quiet_tonight,
from numbered
join score_rows as whole
    on whole.run_id = numbered.run_id
    and whole.partition_date = numbered.partition_date
    and whole.id = numbered.id
    and whole.is_flagged
order by numbered.partition_date desc, alert;

-- Grain: one row per open alert that is not quiet: what to work tonight, with the columns of `all_alerts`.
-- alert: its number in the whole night, so that it stays what it is while others are answered.
create or replace view alerts as
select * exclude (status, is_quiet, answered_by, note)
from all_alerts
where status = 'open' and not is_quiet
order by partition_date desc, alert;

-- Grain: one row per current run, newest date first.
-- alerts: entities with a flagged row. frauds, flagged_labelled (flagged rows with a known label), frauds_flagged,
-- precision and recall of the flags are null where no label is known, the last two also where they would divide
-- by zero. They count sample weights, by the labels known by labels_as_of, the newest there are.
-- new_*: the same for the rows of entities that were not known to be compromised on the date; see the table
-- `compromised`. Null while that is not determined.
-- For several nights, sum the three counts and divide the sums. For another label cut-off than the newest one, use
-- the macro labelled_counts. Where the rows of a run were pruned, only the columns of `runs` are filled.
create or replace view daily as
with counts as (
    select
        * exclude (labels_as_of),
        if(labelled > 0, flagged_labelled, null) as known_flagged,
        if(labelled > 0, frauds_flagged, null) as known_frauds_flagged,
        if(labelled > 0, frauds, null) as known_frauds,
        labels_as_of,
    from labelled_counts('infinity'::date)
    semi join current_runs using (run_id)
),
medians as (
    select run_id, median(score) as median_score
    from scores
    group by run_id
)
select
    runs.partition_date,
    rows_source,
    rows_scored,
    rows_quarantined,
    rows_flagged,
    everyone.alerts,
    median_score,
    threshold,
    everyone.labels_as_of,
    everyone.known_frauds as frauds,
    everyone.known_flagged as flagged_labelled,
    everyone.known_frauds_flagged as frauds_flagged,
    everyone.known_frauds_flagged / nullif(everyone.known_flagged, 0) as precision,
    everyone.known_frauds_flagged / nullif(everyone.known_frauds, 0) as recall,
    fresh.flagged as new_flagged,
    fresh.alerts as new_alerts,
    fresh.known_frauds as new_frauds,
    fresh.known_flagged as new_flagged_labelled,
    fresh.known_frauds_flagged as new_frauds_flagged,
    fresh.known_frauds_flagged / nullif(fresh.known_flagged, 0) as new_precision,
    fresh.known_frauds_flagged / nullif(fresh.known_frauds, 0) as new_recall,
    model_version,
    committed_at,
from current_runs as runs
left join medians using (run_id)
left join (from counts where population = 'all') as everyone using (run_id)
left join (from counts where population = 'new') as fresh using (run_id)
order by runs.partition_date desc;

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

-- Grain: one row per period with one champion: from effective_from until the date before effective_until
-- (null: no end). Periods do not overlap.
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

-- Grain: at most one row: the champion of the newest dates.
create or replace view champion as
select champions.effective_from, champions.promoted_at, champions.promoted_by, champions.why, models.*
from champions
join models using (version)
where effective_until is null;
