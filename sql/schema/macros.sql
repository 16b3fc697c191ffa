-- What several statements share, created on every connection: it needs the tables of tables.sql, and is
-- temporary since neither a read-only connection nor every lake can keep a macro in its catalog.

-- Grain: one row per id and partition_date: its newest label among those known at the end of the date `cutoff`.
-- A filter on id or partition_date around it is applied before the labels are ranked.
create or replace temp macro labels_known_at(cutoff) as table
select id, partition_date, label, weight, source
from labels
where known_at <= cutoff
qualify row_number() over (partition by id, partition_date order by known_at desc, recorded_at desc) = 1;
