SELECT sum(orders) AS orders,
       round(sum(revenue), 2) AS revenue,
       round(sum(refund_rate * orders) / sum(orders), 4) AS refund_rate
FROM daily_summary
WHERE day = :day;
