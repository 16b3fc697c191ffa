-- Records when the artifacts of these versions were pruned.
update models
set pruned_at = now()
where version in (select unnest($versions::varchar[]));
