-- Grain: one row per feature that was over a limit in the last drift measurement of a version before a date.
select feature
from drift
where
    model_version = $version
    and is_over
    and partition_date = (
        select max(partition_date)
        from drift
        where model_version = $version and partition_date < $partition_date
    )
order by feature;
