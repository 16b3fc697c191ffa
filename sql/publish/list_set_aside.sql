-- Grain: one row per date whose newest scored run is held or discarded, in order of the dates.
select partition_date as date, run_id, status, source_fingerprint as fingerprint, doubt
from runs
where status in ('committed', 'held', 'discarded') and superseded_at is null
qualify row_number() over (partition by partition_date order by started_at desc) = 1 and status <> 'committed'
order by date;
