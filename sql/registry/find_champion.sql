-- Grain: at most one row: the champion of a date, if its artifact was not pruned.
select
    version,
    as_of,
    first_date,
    last_date,
    artifact_path,
    artifact_sha256,
    card_path,
    withheld,
    training_hash,
from champions
join models using (version)
where
    effective_from <= $partition_date
    and coalesce(effective_until > $partition_date, true)
    and pruned_at is null;
