-- Grain: one row per version that was registered by the instant of the variable as_of, the newest first, with
-- the dates that it is champion of, what was decided of it as a challenger, and its figures on the newest
-- window that it alone has flagged and that was judged.
with reigns as (
    select
        version,
        list(
            {
                'effective_from': effective_from,
                'effective_until': effective_until,
                'promoted_at': promoted_at,
                'promoted_by': promoted_by,
                'why': why,
            }
            order by effective_from
        ) as champion,
    from champions
    group by version
),
newest_figures as (
    select *
    from latest_metrics
    where detector = 'nightscore' and features = 'all'
    qualify dense_rank() over (partition by model_version order by last_date desc, as_of desc, first_date) = 1
),
judged as (
    select
        model_version as version,
        {
            'first_date': any_value(first_date),
            'last_date': any_value(last_date),
            'as_of': any_value(as_of),
            'figures': list({'metric': metric, 'value': value, 'low': low, 'high': high} order by metric),
        } as judged,
    from newest_figures
    group by model_version
),
decided as (
    select version, {'champion': champion, 'as_of': as_of, 'fit': fit, 'promoted': promoted, 'why': why} as decision,
    from decisions
    where decided_at <= coalesce(getvariable('as_of')::timestamptz, 'infinity')
)
select
    models.version,
    models.as_of,
    models.first_date,
    models.last_date,
    models.rows,
    models.known_frauds,
    models.unconfirmed,
    models.contamination,
    models.architecture,
    models.score,
    models.metrics as training,
    models.gates,
    models.device,
    models.withheld,
    models.trained_at,
    if(models.pruned_at <= coalesce(getvariable('as_of')::timestamptz, 'infinity'), models.pruned_at, null) as pruned_at,
    coalesce(reigns.champion, []) as champion,
    judged.judged,
    decided.decision,
from models
left join reigns using (version)
left join judged using (version)
left join decided using (version)
where models.trained_at <= coalesce(getvariable('as_of')::timestamptz, 'infinity')
order by models.as_of desc, models.trained_at desc, models.version;
