-- Grain: one row per row of $partition_date: every column of the source, and the row against the past of its own entity.
-- The past of a row are the earlier rows of its entity: windows are [t - w, t), in days to the second, so that rows of one second
-- are in nobody's past, in any order. Amounts are in the source's currency; a mean is of their sizes, without their signs.
-- Null is: every feature of a row without entity or time, but for is_night; and what a past without rows, or with amounts of 0 alone, does not say.
-- Needs source.lookback_days = 31. The next five lines, and the join at the end, name columns of the source; write null for one that it lacks.
with
known as (
    select
        transaction_id as id,
        customer_id as entity,
        tx_time as moment,
        amount as amount,
        terminal_id as counterpart,
        _partition_date,
    from history
    where _partition_date >= cast($partition_date as date) - 31
),
today as (
    select * from known where _partition_date = $partition_date
),
past as (
    select
        entity,
        moment,
        counterpart,
        abs(try_cast(amount as decimal(28, 10))) as size,
        hour(moment) < 6 as is_night,
    from known
),
compared as (
    select
        today.id,
        avg(past.size) filter (where past.moment >= today.moment - to_days(7)) as mean_7d,
        avg(past.size) filter (where past.moment >= today.moment - to_days(30)) as mean_30d,
        count(past.moment) filter (where past.moment >= today.moment - to_days(1)) as rows_1d,
        count(past.moment) filter (where past.moment < today.moment - to_days(1)) as rows_30d_before,
        max(past.moment) as last_at,
        count(past.moment) filter (where past.moment >= today.moment - to_days(30)) as rows_30d,
        count(past.moment) filter (where past.moment >= today.moment - to_days(30) and past.counterpart = today.counterpart) as rows_with_counterpart_30d,
        count(past.moment) filter (where past.moment >= today.moment - to_days(30) and past.is_night) as rows_at_night_30d,
    from today
    left join past
        on past.entity = today.entity and past.moment < today.moment and past.moment >= today.moment - to_days(31)
    group by today.id
)
select
    source_rows.*,
    today.amount / nullif(compared.mean_7d, 0) as amount_over_mean_7d,
    today.amount / nullif(compared.mean_30d, 0) as amount_over_mean_30d,
    (compared.rows_1d + 1) / (nullif(compared.rows_30d_before, 0) / 30) as rate_over_usual_rate,
    epoch(today.moment - compared.last_at) / 3600 as hours_since_last,
    case
        when today.entity is not null and today.moment is not null and today.counterpart is not null
            then cast(compared.rows_with_counterpart_30d = 0 as integer)
    end as is_new_counterpart,
    cast(hour(today.moment) < 6 as integer) as is_night,
    compared.rows_at_night_30d / nullif(compared.rows_30d, 0) as night_share_30d,
from today
join compared on compared.id = today.id
join history as source_rows on source_rows.transaction_id = today.id and source_rows._partition_date = $partition_date
