-- Grain: at most one row: the version that is champion on a business date.
select version, as_of, first_date, last_date, artifact_path, artifact_sha256, card_path, withheld, training_hash
from promotions
join models using (version)
where promotions.effective_from <= $partition_date
order by promotions.effective_from desc, promotions.promoted_at desc
limit 1;
