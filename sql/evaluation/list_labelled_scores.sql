-- Grain: one row per scored row of the window's current runs, with its label if label and weight were known at the
-- end of $as_of, and the version that scored it.
select
    labelled.* exclude (run_id, known_at),
    runs.model_version as version,
from labelled_rows($as_of) as labelled
join current_runs as runs using (run_id)
where labelled.partition_date between $first_date and $last_date
order by labelled.partition_date, labelled.id;
