-- Grain: one row per promotion, append-only.
insert into promotions by name
select
    $effective_from as effective_from,
    now() as promoted_at,
    $version as version,
    $promoted_by as promoted_by,
    $why as why;
