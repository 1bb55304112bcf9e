"""Recipes: a number for each step, which stands for how the library does it.

What decides whether work is done again is of these numbers, the data, the parameters and the user's
own files, not of the library's source. Raise a number by one where the same input gives another
output than before: then whoever installs that release does this step, and what follows from it,
once more. Leave it where nothing that a step gives is changed: a faster way, a clearer message of
an error, a comment. `tests/recipes` computes each step's outputs and is red where they changed and
the number did not.
"""

INGEST = 1  # what is kept of a batch of the source; those that are there stay as they were taken
VALIDATE = 1  # which rows of a batch are valid, and what its report says
PREPARE = 1  # features, profile and sketch of a batch; the split; the encoders
HOLD = 1  # which batches are held back, and why
TRAIN = 1  # the model of a seed, of the library's learners, from prepared features
JUDGE = 1  # leaks, bias, metrics and the gate: what a training run says and decides of its models
WATCH = 1  # what monitoring sees in a batch, and whether it asks for a retraining
