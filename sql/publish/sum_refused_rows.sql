-- Grain: exactly one row: the identities of the refused rows of one night, in any order, from their staged Parquet.
select count(*) as rows, coalesce(sum(hash(id, copy)), 0)::varchar as total
from read_parquet($path);
