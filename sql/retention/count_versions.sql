-- Grain: exactly one row: the versions whose artifact exists.
select count(*) as versions
from models
where pruned_at is null;
