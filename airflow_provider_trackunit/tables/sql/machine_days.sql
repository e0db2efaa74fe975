-- Readings become machine days. One text for DuckDB and for PostgreSQL; the rules are in docs/tables/rules.md, and
-- tables/days.py takes the same steps on Arrow.
WITH factors (column_name, metric, unit, factor) AS (
    VALUES {factors}
),
counters AS (
    SELECT DISTINCT column_name, metric FROM factors
),
given AS (
    {given}
),
prepared AS (
    SELECT
        given.asset,
        given.metric,
        given.observed_at,
        -- A reading at midnight sharp belongs to the day that ends.
        CAST((given.observed_at - INTERVAL '1 microsecond') AT TIME ZONE {time_zone} AS date) AS day,
        CAST(given.observed_at AT TIME ZONE {time_zone} AS date) AS shown,
        CASE
            WHEN given.metric IN ('Latitude', 'Longitude') THEN given.value
            ELSE given.value * CAST(factors.factor AS double precision)
        END AS value,
        'future' = ANY (given.flags) AS future,
        'shared_id' = ANY (given.flags) AS shared_id,
        given.value IS NOT NULL AND factors.factor IS NULL AS lost
    FROM given
    LEFT JOIN factors ON factors.metric = given.metric AND factors.unit = given.unit
),
steps AS (
    SELECT
        asset,
        metric,
        day,
        value,
        lag(value) OVER series AS former,
        lag(shown) OVER series AS former_shown,
        row_number() OVER (PARTITION BY asset, metric, day ORDER BY observed_at) AS nth,
        row_number() OVER (PARTITION BY asset, metric, day ORDER BY observed_at DESC) AS nth_from_last
    FROM prepared
    WHERE value IS NOT NULL AND NOT future
    WINDOW series AS (PARTITION BY asset, metric ORDER BY observed_at)
),
each_metric AS (
    SELECT
        asset,
        metric,
        day,
        max(value) FILTER (WHERE nth = 1) AS earliest,
        max(value) FILTER (WHERE nth_from_last = 1) AS latest,
        max(former) FILTER (WHERE nth = 1) AS former,
        max(former_shown) FILTER (WHERE nth = 1) AS former_shown,
        coalesce(bool_or(value < former), false) AS fell
    FROM steps
    GROUP BY asset, metric, day
),
gains AS (
    SELECT
        each_metric.asset,
        each_metric.day,
        counters.column_name,
        each_metric.fell,
        CASE WHEN NOT fell THEN latest - coalesce(former, earliest) END AS gain,
        NOT fell AND former IS NULL AS no_reading_before,
        NOT fell AND former_shown < day - 1 AS spans_days
    FROM each_metric
    JOIN counters ON counters.metric = each_metric.metric
),
flagged AS (
    SELECT asset, day, column_name || ':counter_fell' AS flag FROM gains WHERE fell
    UNION ALL
    SELECT asset, day, column_name || ':no_reading_before' FROM gains WHERE no_reading_before
    UNION ALL
    SELECT asset, day, column_name || ':spans_days' FROM gains WHERE spans_days
    UNION ALL
    SELECT prepared.asset, prepared.day, counters.column_name || ':unknown_unit'
    FROM prepared
    JOIN counters ON counters.metric = prepared.metric
    WHERE prepared.lost AND NOT prepared.future
    UNION ALL
    SELECT asset, day, 'future_reading' FROM prepared WHERE future
    UNION ALL
    SELECT asset, day, 'shared_id' FROM prepared WHERE shared_id
),
flag_lists AS (
    -- In the order of their bytes, whatever the language of the database.
    SELECT asset, day, array_agg(DISTINCT flag COLLATE "C" ORDER BY flag COLLATE "C") AS flags
    FROM flagged
    GROUP BY asset, day
),
days AS (
    SELECT asset, day, count(*) FILTER (WHERE NOT future) AS readings
    FROM prepared
    GROUP BY asset, day
),
gained AS (
    SELECT
        asset,
        day,
        max(gain) FILTER (WHERE column_name = 'operating_hours') AS operating_hours,
        max(gain) FILTER (WHERE column_name = 'idle_hours') AS idle_hours,
        max(gain) FILTER (WHERE column_name = 'moving_hours') AS moving_hours,
        max(gain) FILTER (WHERE column_name = 'distance_km') AS distance_km,
        max(gain) FILTER (WHERE column_name = 'fuel_litres') AS fuel_litres
    FROM gains
    GROUP BY asset, day
),
placed AS (
    SELECT
        asset,
        day,
        max(earliest) FILTER (WHERE metric = 'Latitude') AS first_latitude,
        max(earliest) FILTER (WHERE metric = 'Longitude') AS first_longitude,
        max(latest) FILTER (WHERE metric = 'Latitude') AS last_latitude,
        max(latest) FILTER (WHERE metric = 'Longitude') AS last_longitude
    FROM each_metric
    GROUP BY asset, day
)
SELECT
    days.asset,
    days.day,
    gained.operating_hours,
    gained.idle_hours,
    gained.moving_hours,
    gained.distance_km,
    gained.fuel_litres,
    placed.first_latitude,
    placed.first_longitude,
    placed.last_latitude,
    placed.last_longitude,
    days.readings,
    coalesce(flag_lists.flags, CAST(ARRAY[] AS text[])) AS flags
FROM days
LEFT JOIN gained ON gained.asset = days.asset AND gained.day = days.day
LEFT JOIN placed ON placed.asset = days.asset AND placed.day = days.day
LEFT JOIN flag_lists ON flag_lists.asset = days.asset AND flag_lists.day = days.day
{chosen}
