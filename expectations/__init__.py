"""What must hold of new loads and of candidate tables: one module per table, and the runner that judges them.

raw/ holds the suites of loads that no build has published yet, candidate/ those of the tables that a build wants
to publish. Bounds come from the policy. What a record must look like is ingest's contract, and keys, nulls and
references are dbt's tests: neither is repeated here. Great Expectations is imported by the runner alone, when it
first has something to judge.
"""
