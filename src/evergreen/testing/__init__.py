"""Testing: does an extension keep its contract? Each check is one line of a user's test.

It works the extension on small data made here, and raises AssertionError that says what is wrong.
`check_extensions` is what `make test` of a project calls.
"""

from evergreen.testing.learner import check_learner
from evergreen.testing.metric import check_metric
from evergreen.testing.rule import check_rule
from evergreen.testing.source import check_source
from evergreen.testing.telling import check_notifier, check_report
from evergreen.testing.whole import check_extensions

__all__ = [
    "check_extensions", "check_learner", "check_metric", "check_notifier", "check_report",
    "check_rule", "check_source",
]  # fmt: skip
