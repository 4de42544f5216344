"""The guide to the feeds, held to the contract that it describes."""

from pathlib import Path

from orchestration.ingest.records import FEEDS

GUIDE = Path(__file__).parents[2] / "docs" / "feeds.md"


def test_the_guide_names_every_field_key_and_kind():
    rows = [line.strip("| ").split(" | ") for line in GUIDE.read_text().splitlines() if line.startswith("| `")]
    told = {feed.strip("`"): (fields.split(", "), key.split(", "), kind) for feed, fields, key, kind in rows}
    expected = {
        name: (
            [field.name + ("" if field.required else "?") for field in feed.fields.values()],
            list(feed.key),
            "versioned" if feed.versioned else "event",
        )
        for name, feed in FEEDS.items()
    }
    assert told == expected
