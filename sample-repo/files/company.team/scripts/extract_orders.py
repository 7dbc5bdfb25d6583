"""Writes one day's orders as CSV. Stands in for the shop's API: the same day gives the same orders."""
import csv
import random
import sys

day, count, target = sys.argv[1], int(sys.argv[2]), sys.argv[3]
shop = random.Random(day)
with open(target, "w", newline="", encoding="utf-8") as out:
    rows = csv.writer(out)
    rows.writerow(["id", "day", "country", "amount", "is_refund"])
    for number in range(1, count + 1):
        rows.writerow([
            number,
            day,
            shop.choice(["de", "es", "fr", "it"]),
            f"{shop.uniform(5, 250):.2f}",
            int(shop.random() < 0.06),
        ])
print(f"{count} orders of {day}")
print('::{"outputs":{"rows":%d},"metrics":[{"name":"orders","type":"counter","value":%d}]}::' % (count, count))
