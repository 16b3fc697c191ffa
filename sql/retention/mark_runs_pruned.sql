-- Records when the rows of these runs were pruned.
update runs
set pruned_at = now()
where run_id in (select unnest($runs::varchar[]));
