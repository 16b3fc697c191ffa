-- The macros of one dataset, over the tables of tables.sql. `cutoff` is a date: what was known at its end counts.
-- After `set variable as_of = timestamptz '...'` only labels that were recorded by that instant count.

-- Grain: one row per id and partition_date: its label in force of those known at the end of the cutoff. The newest
-- one, but that the source's own column says "no fraud" overrules nobody else's label while it has never said "fraud"
-- of the row: it may only mean that nothing was reported. weight: that of the source, where it has a label.
-- kind: of a fraud, the newest one that anybody has named.
-- DuckDB applies a filter on id or partition_date before it ranks the labels.
create or replace macro labels_known_at(cutoff) as table
with known as (
    select
        *,
        source = 'source' as is_own,
        bool_or(source = 'source') over of_row as has_own,
        bool_or(source = 'source' and label) over of_row as was_own_fraud,
        arg_max_null(weight, (known_at, recorded_at)) filter (where source = 'source') over of_row as own_weight,
        arg_max(kind, (known_at, recorded_at)) filter (where label and kind is not null) over of_row as newest_kind,
    from labels
    where known_at <= cutoff and recorded_at <= coalesce(getvariable('as_of')::timestamptz, 'infinity')
    window of_row as (partition by id, partition_date)
)
select
    id,
    partition_date,
    label,
    if(has_own, own_weight, weight) as weight,
    known_at,
    source,
    recorded_at,
    if(label, newest_kind, null) as kind,
from known
qualify row_number() over (
    partition by id, partition_date
    order by is_own and not was_own_fraud, known_at desc, recorded_at desc
) = 1;

-- Grain: one row per id, partition_date and other source whose newest label known at the end of the cutoff is not the
-- one in force, that of labels_known_at. label, source, known_at: the one in force; other_*: the one that it overrules.
create or replace macro label_conflicts_known_at(cutoff) as table
with newest_of_source as (
    select id, partition_date, label, known_at, source
    from labels
    where known_at <= cutoff and recorded_at <= coalesce(getvariable('as_of')::timestamptz, 'infinity')
    qualify row_number() over (
        partition by id, partition_date, source
        order by known_at desc, recorded_at desc
    ) = 1
)
select
    in_force.partition_date,
    in_force.id,
    in_force.label,
    in_force.source,
    in_force.known_at,
    other.label as other_label,
    other.source as other_source,
    other.known_at as other_known_at,
from labels_known_at(cutoff) as in_force
join newest_of_source as other
    on other.id = in_force.id
    and other.partition_date = in_force.partition_date
    and other.source <> in_force.source
    and other.label <> in_force.label;

-- Grain: one row per run and scored source row, with its label and weight if both were known at the end of the
-- cutoff. is_new: whether its entity was not known to be compromised on the date; null while that is not
-- determined.
create or replace macro labelled_rows(cutoff) as table
select
    score_rows.run_id,
    score_rows.partition_date,
    score_rows.id,
    score_rows.entity,
    score_rows.score,
    score_rows.p_value,
    score_rows.is_flagged,
    score_rows.flagged_by,
    score_rows.rank_alone,
    score_rows.reasons,
    if(known.weight is null, null, known.label) as label,
    coalesce(known.weight, 1.0) as weight,
    if(known.weight is null, null, known.kind) as kind,
    known.known_at,
    if(runs.compromised_entities is null, null, compromised.entity is null) as is_new,
from score_rows
join runs using (run_id)
left join labels_known_at(cutoff) as known
    on known.id = score_rows.id and known.partition_date = score_rows.partition_date
left join compromised on compromised.run_id = score_rows.run_id and compromised.entity = score_rows.entity;

-- Grain: one row per run with scored rows and population: `all` of its rows, or the `new` ones, whose entity was
-- not known to be compromised on the date (no row while that is not determined). By the labels known at the end of
-- the cutoff: labelled, positives: rows with a label, and frauds among them. flagged_labelled, frauds_flagged,
-- frauds: flagged rows with a label, frauds among them, and all frauds; each row counts its sample weight.
-- alerts: entities with a flagged row. labels_as_of: the newest known_at of these labels.
create or replace macro labelled_counts(cutoff) as table
with populations as (
    select *, unnest(if(is_new, ['all', 'new'], ['all'])) as population
    from labelled_rows(cutoff)
)
select
    run_id,
    partition_date,
    population,
    count(*) as rows,
    count(*) filter (is_flagged) as flagged,
    count(distinct coalesce(entity, id)) filter (is_flagged) as alerts,
    count(label) as labelled,
    count(*) filter (label) as positives,
    -- ordered, so that a sum of fractions is the same to the last digit each time
    coalesce(sum(weight order by id) filter (is_flagged and label is not null), 0) as flagged_labelled,
    coalesce(sum(weight order by id) filter (is_flagged and label), 0) as frauds_flagged,
    coalesce(sum(weight order by id) filter (label), 0) as frauds,
    max(known_at) filter (label is not null) as labels_as_of,
from populations
group by run_id, partition_date, population;
