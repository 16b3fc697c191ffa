-- Marks the earlier held run of a date as superseded by $run_id.
update runs
set superseded_at = now(), superseded_by = $run_id
where
    partition_date = $partition_date
    and status = 'held'
    and superseded_at is null
    and run_id <> $run_id;
