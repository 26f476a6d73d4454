"""Code shared by the test applications: a run that is recorded twice, by the service and in a separate file.

`run` talks to the service through `hook_agent`, `side_file` keeps what the application knows it did, `compare` compares
the two.
"""
