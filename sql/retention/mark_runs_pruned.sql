-- The ledger says since when the rows of these runs are gone.
update runs
set pruned_at = now()
where run_id in (select unnest($runs::varchar[]));
