"""What stands between a registered version and `champion`.

- `versions`: the registry's versions
- `gates`: what a version must pass
- `audit`: who promoted what, and why
"""
