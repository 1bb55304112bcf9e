"""Each step as a Prefect task: how often it is retried, how long it may take, what the UI shows of it.

The one place for such policy: steps know no Prefect, flows know only order.
"""
