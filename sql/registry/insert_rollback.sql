-- Grain: one row per promotion to undo: those in force that override the one of $before_from and $before_at.
insert into promotions by name
select
    effective_from,
    greatest(now(), (select max(promoted_at) from promotions))
        + row_number() over (order by effective_from desc, promoted_at desc) * interval 1 microsecond
        as promoted_at,
    $version as version,
    $promoted_by as promoted_by,
    $why as why,
    promoted_at as undoes,
from promotions_in_force
where effective_from > $before_from or (effective_from = $before_from and promoted_at > $before_at);
