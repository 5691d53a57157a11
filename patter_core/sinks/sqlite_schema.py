"""The tables of the SQLite sink's file."""

from __future__ import annotations

__all__ = ["SCHEMA"]

SCHEMA = """
CREATE TABLE IF NOT EXISTS records (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    call_id TEXT NOT NULL,
    time REAL NOT NULL,
    sequence INTEGER NOT NULL,
    kind TEXT NOT NULL,
    record TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS records_of_call ON records (call_id, time, sequence);
CREATE INDEX IF NOT EXISTS ends_of_calls ON records (kind, time) WHERE kind IN ('call_ended', 'call_priced');
CREATE TABLE IF NOT EXISTS calls (
    call_id TEXT PRIMARY KEY,
    started REAL NOT NULL,
    carrier TEXT NOT NULL DEFAULT '',
    direction TEXT NOT NULL DEFAULT '',
    from_number TEXT NOT NULL DEFAULT '',
    to_number TEXT NOT NULL DEFAULT '',
    agent TEXT NOT NULL DEFAULT '',
    ended REAL,
    reason TEXT NOT NULL DEFAULT '',
    ended_by TEXT NOT NULL DEFAULT '',
    duration_ms REAL NOT NULL DEFAULT 0,
    reply_ms REAL,
    engine_cost TEXT NOT NULL DEFAULT '',
    cost TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS calls_found ON calls
    (started, call_id, agent, carrier, direction, reason, ended, from_number, to_number);
CREATE INDEX IF NOT EXISTS calls_open ON calls (started, call_id) WHERE ended IS NULL;
CREATE TABLE IF NOT EXISTS said (
    call_id TEXT PRIMARY KEY,
    text TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS stages (
    call_id TEXT NOT NULL,
    time REAL NOT NULL,
    turn TEXT NOT NULL,
    stage TEXT NOT NULL,
    ms REAL NOT NULL,
    PRIMARY KEY (call_id, time, turn, stage)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS bills (
    call_id TEXT NOT NULL,
    part TEXT NOT NULL,
    vendor TEXT NOT NULL,
    model TEXT NOT NULL,
    amounts TEXT NOT NULL,
    cost TEXT NOT NULL,
    PRIMARY KEY (call_id, part, vendor, model)
) WITHOUT ROWID;
"""
