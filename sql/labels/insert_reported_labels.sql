-- Grain: one row per line of a label file that says something new.
insert into labels by name
select id, partition_date, label, weight, known_at, source, now() as recorded_at
from matched
where not is_known;
