-- Grain: at most one row: the newest champion (undone), the newest promotion in force of another version,
-- which a rollback restores (nulls: there is none), and the first date whose champion changes.
with newest as (
    select version
    from champions
    where effective_until is null
),
before as (
    select promotions_in_force.*
    from promotions_in_force
    anti join newest using (version)
    order by effective_from desc, promoted_at desc
    limit 1
)
select
    newest.version as undone,
    before.version,
    before.effective_from as before_from,
    before.promoted_at as before_at,
    min(above.effective_from) as effective_from,
from newest
left join before on true
join promotions_in_force as above
    on before.version is null
    or above.effective_from > before.effective_from
    or (above.effective_from = before.effective_from and above.promoted_at > before.promoted_at)
group by all;
