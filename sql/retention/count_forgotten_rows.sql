-- Grain: one row per table with rows of an entity, whose dates and ids are given: how many it has.
with ids as (
    select unnest($dates::date[]) as partition_date, unnest($ids::varchar[]) as id
),
counts as (
    select 1 as place, 'score_rows' as "table", count(*) as rows
    from score_rows
    semi join ids using (partition_date, id)
    union all
    select 2, 'shadow_scores', count(*)
    from shadow_scores
    semi join ids using (partition_date, id)
    union all
    select 3, 'quarantine', count(*)
    from quarantine
    where exists (
        from ids
        where ids.partition_date = quarantine.partition_date and ids.id is not distinct from quarantine.id
    ) and (
        id is not null
        or regexp_replace(json_extract_string(content, $path::varchar), '^(-?\d+)\.0+$', '\1') = $entity
    )
    union all
    select 4, 'labels', count(*)
    from labels
    semi join ids using (partition_date, id)
    union all
    select 5, 'answers', count(*)
    from answers
    semi join ids using (partition_date, id)
    union all
    select 6, 'compromised', count(*)
    from compromised
    where entity = $entity
)
select "table", rows
from counts
where rows > 0
order by place;
