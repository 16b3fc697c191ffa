-- Grain: one row per promotion, append-only; none if the version is champion of that date already.
insert into promotions by name
select
    $effective_from as effective_from,
    -- later than any other: clocks of machines differ, and may go back
    greatest(now(), (select max(promoted_at) + interval 1 microsecond from promotions)) as promoted_at,
    $version as version,
    $promoted_by as promoted_by,
    $why as why,
where
    $version is distinct from (
        select version
        from champions
        where effective_from <= $effective_from and coalesce(effective_until > $effective_from, true)
    );
