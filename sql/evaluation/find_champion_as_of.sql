-- Grain: at most one row: the champion of a date, by the promotions made up to the instant of the variable
-- as_of.
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
    pruned_at,
    effective_from,
    promoted_at,
from champions
join models using (version)
where effective_from <= $partition_date and coalesce(effective_until > $partition_date, true);
