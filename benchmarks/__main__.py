"""Every benchmark, one after the other: `make bench`, or `make bench N=10000000` for that many touchpoints."""

import argparse
import subprocess
import sys


def main() -> None:
    """Run them, each in a process of its own."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--touches", type=int, default=1_000_000, help="touchpoints of history")
    parser.add_argument("--records", type=int, default=1_000_000, help="touchpoints to ingest")
    parser.add_argument("--users", type=int, default=100_000, help="users of the referral forest")
    parser.add_argument("--people", type=int, default=5_000, help="people of the simulated quarter to refresh")
    parser.add_argument("--days", type=int, default=1_000, help="days without a change in which alerts are counted")
    parser.add_argument("--jobs", type=int, default=200, help="jobs for content, beside a model of a second")
    options = parser.parse_args()
    for name, size in (
        ("attribution", "touches"),
        ("fits", "touches"),
        ("viral", "users"),
        ("alerts", "days"),
        ("content", "jobs"),
        ("ingest", "records"),
        ("refresh", "people"),
    ):
        arguments = [sys.executable, "-m", f"benchmarks.{name}", f"--{size}", str(getattr(options, size))]
        subprocess.run(arguments, check=True)


if __name__ == "__main__":
    main()
