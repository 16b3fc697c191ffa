-- Grain: one row per entity of `known` that has a scored row in the run; none where they are stored already.
insert into compromised by name
select distinct score_rows.run_id, score_rows.partition_date, score_rows.entity
from score_rows
join runs using (run_id)
semi join known on known.entity = score_rows.entity
where score_rows.run_id = $run_id and runs.compromised_entities is null;
