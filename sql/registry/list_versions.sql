-- Grain: one row per version registered up to the instant of the variable as_of, newest first: the dates that
-- it is champion of, the decision on it as a challenger, and its metrics on the newest evaluated window scored by
-- it alone, of the population that the variable population names.
with champion_periods as (
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
    where detector = 'nightscore' and features = 'all' and coalesce(population, getvariable('population')) = getvariable('population')
    qualify
        dense_rank() over (partition by model_version order by last_date desc, as_of desc, first_date) = 1
        -- before format 4 no population was stored
        and row_number() over (
            partition by model_version, first_date, last_date, as_of, metric
            order by measured_at desc
        ) = 1
),
latest_figures as (
    select
        model_version as version,
        {
            'first_date': any_value(first_date),
            'last_date': any_value(last_date),
            'as_of': any_value(as_of),
            'metrics': map_from_entries(
                list((metric, {'value': value, 'low': low, 'high': high}) order by metric)
            ),
        } as judged,
    from newest_figures
    group by model_version
),
challenger_decisions as (
    select
        version,
        {'champion': champion, 'as_of': as_of, 'fit': fit, 'promoted': promoted, 'why': why} as decision,
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
    coalesce(models.metrics, '{}') as training,
    coalesce(models.gates, '[]') as gates,
    models.device,
    models.training_hash,
    models.withheld,
    models.trained_at,
    if(
        models.pruned_at <= coalesce(getvariable('as_of')::timestamptz, 'infinity'), models.pruned_at, null
    ) as pruned_at,
    coalesce(champion_periods.champion, []) as champion,
    latest_figures.judged,
    challenger_decisions.decision,
from models
left join champion_periods using (version)
left join latest_figures using (version)
left join challenger_decisions using (version)
where models.trained_at <= coalesce(getvariable('as_of')::timestamptz, 'infinity')
order by models.as_of desc, models.trained_at desc, models.version;
