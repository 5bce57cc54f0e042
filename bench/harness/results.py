# SPDX-License-Identifier: MIT
"""The files of results: written row by row, read for the report."""
import csv
import os
import statistics

COLUMNS = ("workload,subject,scale,round,wall_s,user_s,sys_s,peak_kib,live_kib,"
           "max_pause_us,p999_us,p50_us,check").split(",")
FIGURE_COLUMNS = "workload,subject,scale,round,figure,value".split(",")
MEMORY_COLUMNS = "workload,subject,scale,seconds,resident_kib".split(",")
CURVE_COLUMNS = ("workload,subject,scale,round,factor,limit_kib,wall_s,peak_kib,live_kib,"
                 "max_pause_us,check").split(",")
NURSERY_COLUMNS = ("workload,subject,scale,round,policy,wall_s,user_s,sys_s,peak_kib,live_kib,"
                   "max_pause_us,check").split(",")
OLD_COLUMNS = ("workload,subject,scale,round,megabytes,wall_s,peak_kib,ns_per_allocation,"
               "mean_pause_us,max_pause_us,p999_us,p50_us,check").split(",")


def beside(path, suffix):
    return os.path.splitext(path)[0] + suffix


class Table:
    """A CSV file that is complete after every row. Begins with the rows given."""

    def __init__(self, path, columns, rows=()):
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
        self.file = open(path, "w", newline="", encoding="utf-8")
        self.writer = csv.writer(self.file, lineterminator="\n")
        self.columns = columns
        self.writer.writerow(columns)
        for row in rows:
            self.add(**row)
        self.file.flush()

    def add(self, **values):
        self.writer.writerow([values.get(column, "") for column in self.columns])
        self.file.flush()

    def close(self):
        self.file.close()


def read(path):
    if not os.path.exists(path):
        return []
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def number(text):
    """A field as a number; None where it is empty."""
    return float(text) if text not in ("", None) else None


def unique(rows, column):
    return list(dict.fromkeys(row[column] for row in rows))


def values(rows, workload, subject, column):
    found = (number(row[column]) for row in rows
             if row["workload"] == workload and row["subject"] == subject)
    return [value for value in found if value is not None]


def median(rows, workload, subject, column):
    found = values(rows, workload, subject, column)
    return statistics.median(found) if found else None


def figure_median(figures, workload, subject, figure):
    rows = [row for row in figures if row["figure"] == figure]
    return median(rows, workload, subject, "value")


def text_table(header, lines):
    """Aligned columns, the first one to the left, as Markdown."""
    cells = [header, *lines]
    widths = [max(len(line[i]) for line in cells) for i in range(len(header))]

    def row(line):
        padded = [line[0].ljust(widths[0])] + [c.rjust(w) for c, w in zip(line[1:], widths[1:])]
        return "| " + " | ".join(padded) + " |"
    rule = "|" + "|".join(["-" * (widths[0] + 2)] + ["-" * (w + 1) + ":" for w in widths[1:]]) + "|"
    return "\n".join([row(header), rule, *(row(line) for line in lines)])
