"""The order of the steps: which comes after which, and what the Prefect UI asks for."""
