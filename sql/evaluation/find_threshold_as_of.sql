-- Grain: at most one row: the threshold rule of the newest run committed up to the instant of the variable
-- as_of.
select threshold_rule as rule
from runs
where
    status = 'committed'
    and threshold_rule is not null
    and committed_at <= coalesce(getvariable('as_of')::timestamptz, 'infinity')
order by committed_at desc
limit 1;
