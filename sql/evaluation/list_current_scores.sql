-- Grain: one row per scored row of the current run of a date, the highest score first.
select * from scores where partition_date = $partition_date order by rank, id;
