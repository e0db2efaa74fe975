-- Readings become machine days. One text for DuckDB and for PostgreSQL; the rules are in docs/tables/rules.md, and
-- tables/days.py takes the same steps on Arrow. What is
-- looked up beside the readings is named so that no table of a user is called alike.
WITH iris_factors (column_name, metric, unit, factor) AS (
    VALUES {factors}
),
iris_counters AS (
    SELECT DISTINCT column_name, metric FROM iris_factors
),
iris_given AS (
    {given}
),
prepared AS (
    SELECT
        iris_given.asset,
        iris_given.metric,
        iris_given.observed_at,
        -- A reading at midnight sharp belongs to the day that ends.
        CAST((iris_given.observed_at - INTERVAL '1 microsecond') AT TIME ZONE {time_zone} AS date) AS day,
        CAST(iris_given.observed_at AT TIME ZONE {time_zone} AS date) AS shown,
        CASE
            WHEN iris_given.metric IN ('Latitude', 'Longitude') THEN iris_given.value
            ELSE iris_given.value * CAST(iris_factors.factor AS double precision)
        END AS value,
        'future' = ANY (iris_given.flags) AS future,
        'shared_id' = ANY (iris_given.flags) AS shared_id,
        iris_given.value IS NOT NULL AND iris_factors.factor IS NULL AS lost
    FROM iris_given
    LEFT JOIN iris_factors ON iris_factors.metric = iris_given.metric AND iris_factors.unit = iris_given.unit
),
steps AS (
    SELECT
        asset,
        metric,
        day,
        value,
        lag(value) OVER series AS former,
        lag(shown) OVER series AS former_shown,
        lag(shared_id) OVER series AS former_shared,
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
        bool_or(former_shared) FILTER (WHERE nth = 1) AS former_shared,
        coalesce(bool_or(value < former), false) AS fell
    FROM steps
    GROUP BY asset, metric, day
),
gains AS (
    SELECT
        each_metric.asset,
        each_metric.day,
        iris_counters.column_name,
        each_metric.fell,
        each_metric.former_shared,
        CASE WHEN NOT fell THEN latest - coalesce(former, earliest) END AS gain,
        NOT fell AND former IS NULL AS no_reading_before,
        NOT fell AND former_shown < day - 1 AS spans_days
    FROM each_metric
    JOIN iris_counters ON iris_counters.metric = each_metric.metric
),
flagged AS (
    SELECT asset, day, column_name || ':counter_fell' AS flag FROM gains WHERE fell
    UNION ALL
    SELECT asset, day, column_name || ':no_reading_before' FROM gains WHERE no_reading_before
    UNION ALL
    SELECT asset, day, column_name || ':spans_days' FROM gains WHERE spans_days
    UNION ALL
    SELECT prepared.asset, prepared.day, iris_counters.column_name || ':unknown_unit'
    FROM prepared
    JOIN iris_counters ON iris_counters.metric = prepared.metric
    WHERE prepared.lost AND NOT prepared.future
    UNION ALL
    SELECT asset, day, 'future_reading' FROM prepared WHERE future
    UNION ALL
    SELECT asset, day, 'shared_id' FROM prepared WHERE shared_id
    UNION ALL
    -- A gain since a reading that may be of another machine.
    SELECT asset, day, 'shared_id' FROM gains WHERE former_shared
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
