"""A project that is a copy of the whole library becomes one that has it as a wheel."""
