-- Grain: one row per date and id of the rows of an entity, scored or quarantined, in any run. Where the source has
-- no entity, the id is the entity. $path leads to the entity in a quarantined row; null where there is none.
select partition_date, id
from score_rows
where coalesce(entity, id) = $entity
union
select partition_date, id
from quarantine
where
    if($path::varchar is null, id, regexp_replace(json_extract_string(content, $path::varchar), '^(-?\d+)\.0+$', '\1'))
    = $entity
order by all;
