-- Grain of `dated`: one row per line of a label file whose id was scored, with the scored id and the date of the
-- scored row: the line's own date, else the newest. An id counts as it is written; where no row has that id, a
-- whole number that is written like 7.0 counts as 7.
create or replace temp table dated as
with spelled as (
    select line, id as scored_id, 1 as spelling
    from reported
    union all
    select line, regexp_replace(id, '\.0+$', '') as scored_id, 2 as spelling
    from reported
    where regexp_full_match(id, '-?\d+\.0+')
)
select reported.*, spelled.scored_id, scores.partition_date as scored_date
from reported
join spelled using (line)
join scores
    on scores.id = spelled.scored_id
    and scores.partition_date = coalesce(reported.partition_date, scores.partition_date)
qualify row_number() over (partition by reported.line order by spelled.spelling, scores.partition_date desc) = 1;

-- Grain of `matched`: one row per distinct label of `dated`, with the weight of its row, and whether `labels`
-- holds the same label already, with its kind where a line names one.
create or replace temp table matched as
with distinct_labels as (
    select scored_id as id, scored_date as partition_date, label, known_at, source, any_value(kind) as kind
    from dated
    group by all
)
select
    distinct_labels.*,
    if(latest_labels.id is null, 1, latest_labels.weight) as weight,
    exists (
        from labels
        where
            labels.id = distinct_labels.id
            and labels.partition_date = distinct_labels.partition_date
            and labels.label = distinct_labels.label
            and labels.known_at = distinct_labels.known_at
            and labels.source = distinct_labels.source
            and (distinct_labels.kind is null or labels.kind = distinct_labels.kind)
    ) as is_known,
from distinct_labels
left join latest_labels using (id, partition_date);
