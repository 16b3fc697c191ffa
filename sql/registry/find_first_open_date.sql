-- Grain: exactly one row: the first date, from $as_of on, after every scored date and not before the start of
-- any promotion in force. A promotion from this date on changes no committed night and takes effect at once.
select
    greatest(
        $as_of,
        (select max(partition_date) + 1 from current_runs),
        (select max(effective_from) from champions)
    ) as effective_from;
