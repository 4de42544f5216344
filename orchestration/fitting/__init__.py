"""What the stages share that fit in the middle of a build: how a fit is shown to Dagster, and what charts look like."""
