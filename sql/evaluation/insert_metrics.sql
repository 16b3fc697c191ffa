-- Grain: one row per metric value of one evaluation, from `figures`.
insert into metrics by name
select *, now() as measured_at
from figures;
