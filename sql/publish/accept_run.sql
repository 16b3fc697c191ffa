-- Notes who accepts a doubtful run that is committed.
update runs
set accepted_by = $accepted_by, accepted_at = now()
where run_id = $run_id;
