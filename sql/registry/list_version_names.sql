-- Grain: one row per registered version, the newest first.
select version
from models
order by trained_at desc, version;
