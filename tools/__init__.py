"""What only a developer or CI runs; never part of the wheel.

audit: known weaknesses of what is installed anywhere
"""
