"""What only a developer or CI runs; never part of the wheel.

- `docs`: writes and checks every generated file
- `asyncapi`: the topics
- `reference`: settings, rights and metrics; users, policies and ACLs; the chart's values
- `contracts`: who may import whom
- `layout`: how the code is cut, counted
- `audit`: known weaknesses of what is installed anywhere
- `corpora`: NLTK's corpora where only a package index answers
"""
