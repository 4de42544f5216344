"""[pure] The channels that everybody knows by name."""

CHANNELS = (
    "affiliate",
    "content",
    "direct",
    "display",
    "email",
    "organic_search",
    "organic_social",
    "paid_search",
    "paid_social",
    "partner",
    "referral",
    "sms",
    "video",
    "viral",
)
"""What the simulation sends and the guides speak of. A record may name any other, which is accepted as it is."""
