"""marts.* → briefs → drafts → ops.content: what a model is asked, what its answer must be, and what that may cost."""
