"""marts.* and ops.* → ops.alert_* → people: rules, what they say of samples, and messages that arrive once."""
