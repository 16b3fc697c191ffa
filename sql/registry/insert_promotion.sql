-- Grain: one row per promotion, append-only; the version that is champion from that date already is not
-- promoted again.
insert into promotions by name
select
    $effective_from as effective_from,
    greatest(now(), (select max(promoted_at) + interval 1 microsecond from promotions)) as promoted_at,   -- clocks differ, and may go back
    $version as version,
    $promoted_by as promoted_by,
    $why as why,
where
    $version is distinct from (
        select version
        from champions
        where effective_from <= $effective_from and coalesce(effective_until > $effective_from, true)
    );
