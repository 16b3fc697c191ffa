-- Marks the earlier current run of a date, and a held one, as superseded by $run_id; their rows stay.
update runs
set superseded_at = now(), superseded_by = $run_id
where
    partition_date = $partition_date
    and status in ('committed', 'held')
    and superseded_at is null
    and run_id <> $run_id;
