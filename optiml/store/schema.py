"""The tables of a run's file."""

from __future__ import annotations

# A file of another version is refused.
VERSION = 2

SCHEMA = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE candidates (key TEXT PRIMARY KEY, language TEXT NOT NULL, source TEXT NOT NULL, overrides TEXT NOT NULL)
    WITHOUT ROWID;
CREATE TABLE verdicts (
    key TEXT NOT NULL, purpose TEXT NOT NULL, verdict TEXT NOT NULL, PRIMARY KEY (key, purpose)
) WITHOUT ROWID;
CREATE TABLE proposals (number INTEGER PRIMARY KEY, key TEXT NOT NULL, edits TEXT NOT NULL);
CREATE TABLE exchanges (
    question INTEGER NOT NULL, turn INTEGER NOT NULL, proposer TEXT NOT NULL, role TEXT NOT NULL,
    messages TEXT NOT NULL, reply TEXT NOT NULL, ended TEXT NOT NULL, outcome TEXT NOT NULL, input_tokens INTEGER,
    output_tokens INTEGER, cost REAL, elapsed_s REAL NOT NULL, PRIMARY KEY (question, proposer, turn)
) WITHOUT ROWID;
CREATE TABLE steps (
    number INTEGER PRIMARY KEY, key TEXT NOT NULL, parent TEXT NOT NULL, tag TEXT NOT NULL, limiter TEXT NOT NULL,
    why TEXT NOT NULL, proposer TEXT NOT NULL, reward REAL NOT NULL, elapsed_s REAL NOT NULL
);
"""
