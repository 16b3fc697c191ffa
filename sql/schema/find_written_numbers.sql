-- Grain: at most one row: an id or entity that may be a number which an earlier version wrote as its type did,
-- such as 7.0, 7.00 or 1e+16. None means that nothing is to be rewritten.
select written
from (
    select id as written from score_rows
    union all
    select entity from score_rows
    union all
    select id from labels
    union all
    select id from quarantine
) as stored
where regexp_full_match(written, '-?(0|[1-9][0-9]*)(\.[0-9]+|(\.[0-9]+)?e\+[0-9]+)')
limit 1;
