-- Grain of labels_known_at: one row per id and date: the newest label that was known at the
-- end of the date `cutoff`.
-- A macro of the connection, not of the warehouse: readers cannot write one, and a DuckLake keeps none.
create or replace temp macro labels_known_at(cutoff) as table
select id, partition_date, label, weight, known_at, source, recorded_at
from labels
where known_at <= cutoff
qualify row_number() over (partition by id, partition_date order by known_at desc, recorded_at desc) = 1;
