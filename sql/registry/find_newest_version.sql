-- Grain: exactly one row: the newest as_of, up to a date, of the versions of a configuration, and of those
-- that may be promoted (null: none).
select max(as_of) as newest, max(as_of) filter (withheld is null and pruned_at is null) as newest_fit
from models
where training_hash in (select unnest($training_hashes::varchar[])) and as_of <= $partition_date;
