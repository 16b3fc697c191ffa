-- Grain: one row: the first date not before $as_of from which a promotion changes no date that is scored, and
-- no promotion in force takes over.
select
    greatest(
        $as_of,
        (select max(partition_date) + 1 from current_runs),
        (select max(effective_from) from champions)
    ) as effective_from;
