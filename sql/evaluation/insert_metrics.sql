-- Grain: one row per figure of one evaluation; `figures` holds them.
insert into metrics by name
select *, now() as measured_at
from figures;
