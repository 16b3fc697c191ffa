-- Grain: one row per registered version, newest first.
select version
from models
order by trained_at desc, version;
