-- Grain: one row per line of a label file without a scored row, in order.
select line, id
from reported
anti join dated using (line)
order by line;
