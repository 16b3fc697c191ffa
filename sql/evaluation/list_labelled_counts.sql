-- Grain: one row per current run of the window and population; see the macro.
select counts.* exclude (partition_date, labels_as_of)
from labelled_counts($as_of) as counts
semi join current_runs using (run_id)
where partition_date between $first_date and $last_date;
