-- The registry says since when the artifacts of these versions are gone.
update models
set pruned_at = now()
where version in (select unnest($versions::varchar[]));
