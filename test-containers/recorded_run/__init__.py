"""What the test applications share: a run that is recorded twice, by the service and in a file of its own.

`run` speaks to the service through `hook_agent`, `side_file` keeps what the application knows that it did, `compare`
holds one against the other.
"""
