-- Grain: at most one row: the run that makes a staged night obsolete: itself, where it was accepted, discarded
-- or superseded since, or a current or held one of its date that started later.
select run_id, status
from runs
where
    (run_id = $run_id and (status in ('committed', 'discarded') or superseded_at is not null))
    or (
        partition_date = $partition_date
        and started_at > $started_at
        and superseded_at is null
        and status in ('committed', 'held', 'discarded')
    )
order by started_at desc
limit 1;
