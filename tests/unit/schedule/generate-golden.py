#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Writes golden.txt: what cron expressions and time zones mean, by another implementation.

Zones come from Python's zoneinfo, expressions from a model that looks at every single minute. Nothing
of it is shared with the C code. Run it by hand after a change of the cases, and read the difference:

    tests/unit/schedule/generate-golden.py > tests/unit/schedule/golden.txt

Zones whose rules governments still change are asked about the past only, so that the table stays true
with newer time zone data.
"""
import random
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

UTC = timezone.utc
MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
DAYS = "sun mon tue wed thu fri sat".split()
# zone, last year to ask about
ZONES = [("UTC", 2099), ("America/New_York", 2060), ("Europe/Berlin", 2060), ("Europe/London", 2060),
         ("Europe/Dublin", 2060), ("Australia/Lord_Howe", 2050), ("Australia/Sydney", 2050),
         ("Asia/Kolkata", 2060), ("Asia/Kathmandu", 2050), ("America/St_Johns", 2050),
         ("Pacific/Apia", 2022), ("Pacific/Chatham", 2050), ("Africa/Casablanca", 2023),
         ("America/Sao_Paulo", 2022), ("Asia/Tehran", 2021), ("Asia/Tokyo", 2060),
         ("America/Havana", 2022), ("Etc/GMT+12", 2099), ("Pacific/Kiritimati", 2050)]
# Instants just before a gap, an overlap, a skipped date, a leap day, a change of year.
EDGES = {
    "America/New_York": ["2024-03-10T05:00:00", "2024-11-03T04:30:00", "2024-11-03T05:29:59"],
    "Europe/Berlin": ["2024-03-30T23:00:00", "2024-10-26T22:30:00", "2040-03-25T00:00:00"],
    "Europe/London": ["2025-03-30T00:15:00", "2025-10-26T00:15:00"],
    "Europe/Dublin": ["2025-10-25T23:59:30"],
    "Australia/Lord_Howe": ["2024-04-06T14:00:00", "2024-10-05T15:00:00"],
    "Pacific/Apia": ["2011-12-29T20:00:00"],
    "America/Sao_Paulo": ["2018-11-03T20:00:00", "2018-02-17T20:00:00"],
    "America/Havana": ["2021-03-14T03:00:00", "2021-11-07T03:00:00"],
    "Pacific/Chatham": ["2025-04-05T12:00:00"],
    "UTC": ["2023-12-31T23:59:59", "2096-02-29T00:00:00", "2024-02-28T12:00:00"],
}
CRONS = ["* * * * *", "*/15 * * * *", "0 * * * *", "30 2 * * *", "30 1 * * *", "0 0 * * *", "15 0 * * *",
         "0 9 * * mon-fri", "0 9 1 * mon", "0 0 29 2 *", "59 23 31 * *", "0 12 * jan,jul 0",
         "5/20 3-5 * * ?", "0 0 */10 * *", "0 0 1-7 * sat", "*/30 1-3 * * 0", "45 1 * 3,4,10,11 *",
         "0 4 13 * fri", "@daily", "@weekly", "@monthly", "@yearly", "@hourly", "1,2,3 0 1 1 *",
         "0 0 31 1,3 *", "0 22 * * 1-5/2"]
MACROS = {"@daily": "0 0 * * *", "@weekly": "0 0 * * 0", "@monthly": "0 0 1 * *",
          "@yearly": "0 0 1 1 *", "@hourly": "0 * * * *"}


def values(text, low, high, names):
    """The set of a field, and whether it restricts."""
    result, star = set(), False
    for part in text.lower().split(","):
        part, _, step = part.partition("/")
        if part in "*?":
            first, last = low, high
            star = star or step in ("", "1")
        else:
            first, dash, last = part.partition("-")
            first = names.index(first) + low if first in names else int(first)
            if dash:
                last = names.index(last) + low if last in names else int(last)
            else:
                last = high if step else first
        result |= set(range(first, last + 1, int(step or 1)))
    return result, not star


class Model:
    def __init__(self, text):
        minute, hour, day, month, weekday = MACROS.get(text, text).split()
        self.minutes, _ = values(minute, 0, 59, [])
        self.hours, _ = values(hour, 0, 23, [])
        self.days, self.day_restricts = values(day, 1, 31, [])
        self.months, _ = values(month, 1, 12, MONTHS)
        self.weekdays, self.weekday_restricts = values(weekday, 0, 6, DAYS)

    def date_fires(self, date):
        by_day = date.day in self.days
        by_weekday = date.isoweekday() % 7 in self.weekdays
        if self.day_restricts and self.weekday_restricts:
            right_day = by_day or by_weekday
        else:
            right_day = by_day and by_weekday
        return right_day and date.month in self.months

    def next(self, zone, after, count):
        found = []
        at = after.replace(second=0, microsecond=0) + timedelta(minutes=1)
        while len(found) < count:
            # Whole UTC hours in which no local date fires are skipped; everything else is looked at.
            ends = {at.astimezone(zone).date(), (at + timedelta(minutes=59)).astimezone(zone).date()}
            if not any(self.date_fires(date) for date in ends):
                at += timedelta(hours=1)
                continue
            for _ in range(60):
                local = at.astimezone(zone)
                if (local.minute in self.minutes and local.hour in self.hours
                        and local.second == 0 and self.date_fires(local)):
                    found.append(int(at.timestamp()))
                at += timedelta(minutes=1)
        return found[:count]


def main():
    rng = random.Random(20)
    print("# Made by generate-golden.py: do not edit.")
    print("# cron: zone | expression | after | the next times        all in seconds since 1970")
    for name, last in ZONES:
        zone = ZoneInfo(name)
        starts = [datetime.fromisoformat(t).replace(tzinfo=UTC) for t in EDGES.get(name, [])]
        for _ in range(2):
            starts.append(datetime(2001, 1, 1, tzinfo=UTC) + timedelta(
                seconds=rng.randrange(int((min(last, 2045) - 2002) * 365.25 * 86400))))
        for start in starts:
            wanted = CRONS if name in EDGES and start.second in (0, 30, 59) else rng.sample(CRONS, 8)
            for cron in wanted:
                # 29 February may be eight years away: past the zone's last year is not asked for.
                if cron == "0 0 29 2 *" and start.year + 9 > last and name != "UTC":
                    continue
                times = Model(cron).next(zone, start, 1 if "29 2" in cron else 3)
                print("cron", name, cron, int(start.timestamp()), " ".join(map(str, times)), sep="|")
    print("# zone: zone | instant | seconds east of UTC")
    for name, last in ZONES:
        zone = ZoneInfo(name)
        span = int((datetime(last, 12, 1, tzinfo=UTC) - datetime(1905, 1, 1, tzinfo=UTC)).total_seconds())
        for _ in range(60):
            at = datetime(1905, 1, 1, tzinfo=UTC) + timedelta(seconds=rng.randrange(span))
            print("zone", name, int(at.timestamp()),
                  int(at.astimezone(zone).utcoffset().total_seconds()), sep="|")


main()
