-- Deletes the content of the quarantined rows of an entity that have no id; $path leads to the entity in it.
update quarantine
set content = null
where
    id is null
    and regexp_replace(json_extract_string(content, $path::varchar), '^(-?\d+)\.0+$', '\1') = $entity;
