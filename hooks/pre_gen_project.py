"""Leave a folder that holds something alone."""

import os
import sys

if os.listdir("."):
    sys.exit(
        "error: the target folder is not empty: choose another name, or update the project there "
        "(`make update`)"
    )
