-- Grain: at most one row: the version that is champion on a business date, if its artifact is there: one that was pruned serves nobody.
with newest as (
    select version
    from promotions
    where effective_from <= $partition_date
    order by effective_from desc, promoted_at desc
    limit 1
)
select version, as_of, first_date, last_date, artifact_path, artifact_sha256, card_path, withheld, training_hash
from models
semi join newest using (version)
where pruned_at is null;
