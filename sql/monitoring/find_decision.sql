-- Grain: at most one row: the challenger, if it was decided on.
select version
from decisions
where version = $version
limit 1;
