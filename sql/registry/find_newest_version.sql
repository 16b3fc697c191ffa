-- Grain: one row: the as_of of the newest version of a configuration, of any state, up to a date (null: there
-- is none), and of those that may be promoted.
select max(as_of) as newest, max(as_of) filter (withheld is null and pruned_at is null) as newest_fit
from models
where training_hash in (select unnest($training_hashes::varchar[])) and as_of <= $partition_date;
