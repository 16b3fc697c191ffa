-- Grain: one row per answered row and other source whose newest label is not the one in force.
select partition_date, id, label, source, other_label, other_source
from label_conflicts
semi join meant
    on meant.id = label_conflicts.id and meant.partition_date = label_conflicts.partition_date
order by all;
