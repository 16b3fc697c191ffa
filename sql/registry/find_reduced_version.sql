-- Grain: at most one row: the newest version of a configuration without the label-derived features that was
-- trained as of the same date.
select version, as_of, first_date, last_date, artifact_path, artifact_sha256, card_path, withheld
from models
where as_of = $as_of and training_hash in (select unnest($training_hashes::varchar[])) and pruned_at is null
order by trained_at desc
limit 1;
