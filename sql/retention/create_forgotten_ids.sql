-- Grain of `forgotten_ids`: one row per date and id to forget, with the pseudonym that replaces it: random, so that
-- neither it nor its order leads back to the id.
create or replace temp table forgotten_ids as
select partition_date, id, $name || '-' || uuid() as pseudonym
from (select unnest($dates::date[]) as partition_date, unnest($ids::varchar[]) as id)
where id is not null;
