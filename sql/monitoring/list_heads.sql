-- Grain: one row per version of $versions that has a head.
select version
from models
where version in (select unnest($versions::varchar[])) and (metrics ->> 'head') = 'true';
