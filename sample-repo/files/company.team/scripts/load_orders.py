"""Loads a CSV of orders into the warehouse; loading the same day again replaces it."""
import csv
import json
import sqlite3
import sys

database, source = sys.argv[1], sys.argv[2]
with open(source, encoding="utf-8") as text, sqlite3.connect(database, timeout=30) as warehouse:
    orders = list(csv.DictReader(text))
    warehouse.executemany(
        "INSERT OR REPLACE INTO orders (id, day, country, amount, is_refund) "
        "VALUES (:id, :day, :country, :amount, :is_refund)",
        orders,
    )
print(f"{len(orders)} orders loaded")
print("::%s::" % json.dumps({"outputs": {"loaded": len(orders)}}))
