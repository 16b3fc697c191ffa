-- Grain: one row per promotion, append-only; the version that is champion from that date already is not promoted again.
insert into promotions by name
select
    $effective_from as effective_from,
    now() as promoted_at,
    $version as version,
    $promoted_by as promoted_by,
    $why as why,
where
    $version is distinct from (
        select version
        from promotions
        where effective_from <= $effective_from
        order by effective_from desc, promoted_at desc
        limit 1
    );
