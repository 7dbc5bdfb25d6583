INSERT OR REPLACE INTO daily_summary (day, country, orders, revenue, refund_rate)
SELECT day,
       country,
       count(*),
       round(sum(CASE WHEN is_refund = 1 THEN -amount ELSE amount END), 2),
       round(avg(is_refund), 4)
FROM orders
WHERE day = :day
GROUP BY day, country;
