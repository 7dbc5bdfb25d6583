#!/usr/bin/env python3
# Seeds of the fuzz targets of expressions, from the table of cases: seeds.py CASES FOLDER
# writes FOLDER/expr, FOLDER/jq and FOLDER/time.
import hashlib
import json
import os
import re
import sys

cases, folder = sys.argv[1:3]
seeds = {"expr": set(), "jq": set(), "time": set()}
if os.path.exists(cases):
    with open(cases, encoding="utf-8") as file:
        for case in json.load(file):
            template = case["template"]
            seeds["expr"].add(template)
            seeds["jq"].update(re.findall(r"jq\('((?:[^'\\]|\\.)*)'\)", template))
            if case["id"].startswith(("date-", "next-calendar")):
                seeds["time"].update(re.findall(r"'([^']*)'", template))
seeds["time"].update(["PT1H30M", "-P1DT2H3M4.5S", "yyyy-MM-dd HH:mm\n2024-03-07 09:05", "0.25"])
for name, texts in seeds.items():
    os.makedirs(os.path.join(folder, name), exist_ok=True)
    for text in texts:
        data = text.encode("utf-8", "surrogatepass")
        path = os.path.join(folder, name, hashlib.sha1(data).hexdigest())
        with open(path, "wb") as file:
            file.write(data)
