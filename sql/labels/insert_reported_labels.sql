-- Grain: one row per new label of a label file.
insert into labels by name
select id, partition_date, label, weight, known_at, source, kind, now() as recorded_at
from matched
where not is_known;
