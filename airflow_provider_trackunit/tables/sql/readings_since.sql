-- What the days from one on are made of: their readings, and of each counter the last one before them. A day begins at
-- most half a day from where it begins in UTC, so the first reading of a day is looked for one day earlier.
SELECT asset, metric, observed_at, value, unit, flags
FROM {readings}
WHERE observed_at >= CAST({begin} AS timestamptz)
UNION ALL
SELECT former.asset, former.metric, former.observed_at, former.value, former.unit, former.flags
FROM (SELECT DISTINCT asset, metric FROM {readings} WHERE observed_at >= CAST({begin} AS timestamptz)) AS recent
CROSS JOIN LATERAL (
    SELECT older.asset, older.metric, older.observed_at, older.value, older.unit, older.flags
    FROM {readings} AS older
    JOIN factors ON factors.metric = older.metric AND factors.unit = older.unit
    WHERE older.asset = recent.asset
        AND older.metric = recent.metric
        AND older.observed_at < CAST({begin} AS timestamptz)
        AND older.value IS NOT NULL
        AND NOT 'future' = ANY (older.flags)
    ORDER BY older.observed_at DESC
    LIMIT 1
) AS former
