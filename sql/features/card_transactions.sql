-- Grain: one row per transaction of $partition_date. The 15 features of the Fraud Detection Handbook (Le Borgne et al. 2022, ch. 3).
-- Windows are open on the left, (t - w, t], in days to the second. All transactions of one second count in each other's window.
-- A fraud is known $label_delay_days after its transaction, so terminal windows look at what became known in (t - w, t]:
-- terminal_risk = frauds / transactions of the delayed window, from 0 to 1, and 0 where there were none. Amounts are in the source's currency.
-- The day's rows are joined to the past of their own customer or terminal: twice as fast as window functions, which would compute every
-- row of the look-back; only where one terminal has many thousands of rows a day would windows be the better choice.
-- Amounts are averaged as decimals: a sum of doubles would differ in its last digits with the order in which threads meet the rows.
with
recent as (
    select
        transaction_id,
        tx_time,
        customer_id,
        terminal_id,
        amount,
        try_cast(amount as decimal(28, 10)) as exact_amount,
        cast(is_fraud as integer) as is_fraud,
        _partition_date,
    from history
    where _partition_date >= cast($partition_date as date) - (31 + cast($label_delay_days as integer))
),
today as (
    select * from recent where _partition_date = $partition_date
),
delayed as (
    select terminal_id, is_fraud, tx_time + to_days(cast($label_delay_days as integer)) as known_at, from recent
),
customer_windows as (
    select
        today.transaction_id,
        count(past.tx_time) filter (where past.tx_time > today.tx_time - to_days(1)) as customer_nb_tx_1d,
        count(past.tx_time) filter (where past.tx_time > today.tx_time - to_days(7)) as customer_nb_tx_7d,
        count(past.tx_time) as customer_nb_tx_30d,
        avg(past.exact_amount) filter (where past.tx_time > today.tx_time - to_days(1)) as customer_avg_amount_1d,
        avg(past.exact_amount) filter (where past.tx_time > today.tx_time - to_days(7)) as customer_avg_amount_7d,
        avg(past.exact_amount) as customer_avg_amount_30d,
    from today
    left join recent as past
        on past.customer_id = today.customer_id and past.tx_time <= today.tx_time and past.tx_time > today.tx_time - to_days(30)
    group by today.transaction_id
),
terminal_windows as (
    select
        today.transaction_id,
        count(past.known_at) filter (where past.known_at > today.tx_time - to_days(1)) as terminal_nb_tx_1d,
        count(past.known_at) filter (where past.known_at > today.tx_time - to_days(7)) as terminal_nb_tx_7d,
        count(past.known_at) as terminal_nb_tx_30d,
        sum(past.is_fraud) filter (where past.known_at > today.tx_time - to_days(1)) as frauds_1d,
        sum(past.is_fraud) filter (where past.known_at > today.tx_time - to_days(7)) as frauds_7d,
        sum(past.is_fraud) as frauds_30d,
    from today
    left join delayed as past
        on past.terminal_id = today.terminal_id and past.known_at <= today.tx_time and past.known_at > today.tx_time - to_days(30)
    group by today.transaction_id
)
select
    transaction_id,
    amount,
    cast(isodow(tx_time) >= 6 as integer) as tx_during_weekend,
    cast(hour(tx_time) <= 6 as integer) as tx_during_night,
    customer_nb_tx_1d,
    customer_nb_tx_7d,
    customer_nb_tx_30d,
    customer_avg_amount_1d,
    customer_avg_amount_7d,
    customer_avg_amount_30d,
    terminal_nb_tx_1d,
    terminal_nb_tx_7d,
    terminal_nb_tx_30d,
    coalesce(frauds_1d / terminal_nb_tx_1d, 0) as terminal_risk_1d,
    coalesce(frauds_7d / terminal_nb_tx_7d, 0) as terminal_risk_7d,
    coalesce(frauds_30d / terminal_nb_tx_30d, 0) as terminal_risk_30d,
from today
join customer_windows using (transaction_id)
join terminal_windows using (transaction_id)
