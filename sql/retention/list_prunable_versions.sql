-- Grain: one row per version whose artifact is to be pruned: trained before $instant, and none of these: a
-- champion of a date from $oldest on, even by a promotion that was rolled back; the version that a rollback
-- would restore; the version promoted last; used by a current run that keeps its rows; a challenger that is
-- undecided, or found fit so that a person may promote it; used by a held night, or by a scored one that
-- waits for its commit ($waiting).
with needed as (
    select version from promotions where effective_from >= $oldest
    union all
    select version from champions where coalesce(effective_until > $oldest, true)
    union all
    (
        select version
        from promotions_in_force
        where version <> (select version from champions where effective_until is null)
        order by effective_from desc, promoted_at desc
        limit 1
    )
    union all
    (select version from promotions order by promoted_at desc limit 1)
    union all
    select model_version
    from current_runs
    where pruned_at is null and not ($scores and committed_at < $instant)
    union all
    select model_version
    from runs
    where status = 'held' and superseded_at is null
    union all
    (
        select version
        from models
        where
            withheld is null
            and as_of >= (select as_of from champion)
            and not exists (from promotions where promotions.version = models.version)
            and not exists (from decisions where decisions.version = models.version and not fit)
    )
    union all
    select unnest($waiting::varchar[])
)
select version, artifact_path, card_path, (trained_at at time zone 'UTC')::date as since
from models
anti join needed using (version)
where pruned_at is null and trained_at < $instant
order by version;
