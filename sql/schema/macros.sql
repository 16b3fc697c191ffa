-- Macros that statements share. They are temporary and created on every connection, since neither a read-only
-- connection nor every DuckLake can store them. The tables of tables.sql must exist.

-- Grain: one row per id and partition_date: its newest label of those known at the end of the date `cutoff`.
-- DuckDB applies a filter on id or partition_date before it ranks the labels.
create or replace temp macro labels_known_at(cutoff) as table
select id, partition_date, label, weight, source
from labels
where known_at <= cutoff
qualify row_number() over (partition by id, partition_date order by known_at desc, recorded_at desc) = 1;
