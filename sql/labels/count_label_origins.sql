-- Grain: exactly one row: of the labels of the dates $first_date..$last_date known at the end of $as_of, those of answers
-- to flagged rows for which nobody else had a label (selected), and those that overrule another source's (conflicts),
-- with one such row as an example.
with known as (
    select id, partition_date, source
    from labels_known_at($as_of)
    where partition_date between $first_date and $last_date
),
selected as (
    select id, partition_date
    from known
    where
        source = 'answer'
        and exists (
            from answers
            where
                answers.id = known.id
                and answers.partition_date = known.partition_date
                and answers.known_at <= $as_of
                and answers.is_flagged
        )
        and not exists (
            from labels
            where
                labels.id = known.id
                and labels.partition_date = known.partition_date
                and labels.known_at <= $as_of
                and labels.source <> 'answer'
        )
),
overruled as (
    select distinct id, partition_date, source, other_source
    from label_conflicts_known_at($as_of)
    where partition_date between $first_date and $last_date
)
select
    (select count(*) from selected) as selected,
    count(distinct (id, partition_date)) as conflicts,
    min_by(
        {'id': id, 'partition_date': partition_date, 'source': source, 'other_source': other_source},
        (partition_date, id)
    ) as example,
from overruled;
