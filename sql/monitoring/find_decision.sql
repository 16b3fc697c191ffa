-- Grain: one row if a challenger was decided on, else none.
select version
from decisions
where version = $version
limit 1;
