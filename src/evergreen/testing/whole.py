"""Whole: all that a project adds, checked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evergreen.errors import InputError
from evergreen.testing.learner import check_learner
from evergreen.testing.metric import check_metric
from evergreen.testing.rule import check_rule
from evergreen.testing.telling import check_takes

if TYPE_CHECKING:
    from evergreen.project import Project


def check_extensions(project: Project) -> None:
    """Raise AssertionError where an extension of `project` does not keep its contract.

    Metrics, rules and an own learner are worked; reports and notifiers, which may write and send,
    are looked at only.
    """
    from evergreen.params import load
    from evergreen.training.learner import is_librarys

    try:
        own, params = project.extensions, load(project.params)
        params.choosing_from(own).metrics.pick(params.gate.metric, params.task)
    except InputError as error:
        raise AssertionError(str(error)) from None
    for metric in own.metrics:
        check_metric(metric)
    for rule in own.rules:
        check_rule(rule, params.gate, own)
    for report in own.reports:
        check_takes(report, 2)
    for notifier in own.notifiers:
        check_takes(notifier, 1)
    if not is_librarys(params.train.learner):
        check_learner(params.train.learner, (params.task,))
