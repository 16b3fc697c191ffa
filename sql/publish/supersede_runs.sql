-- The date's current run, if there is one, gives way to the new one; its rows stay.
update runs
set superseded_at = now(), superseded_by = $run_id
where partition_date = $partition_date and status = 'committed' and superseded_at is null and run_id <> $run_id;
