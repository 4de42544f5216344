"""[pure] What runs are told apart by, in the queue and by whoever looks for them."""

LONG_RUN = "marketing/long"
"""Tag of jobs that may take minutes; its value says which. One place of the queue is kept from them."""
