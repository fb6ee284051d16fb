# SPDX-License-Identifier: Apache-2.0
"""Waiting for a condition, never for a time."""
import os
import time

# Times out later where everything is slower: sanitizers, many suites beside each other.
PATIENCE = float(os.environ.get("AGENTKUBE_TEST_PATIENCE") or 1)


def wait_for(fn, what, timeout=120, interval=0.1):
    """Calls fn until what it returns is true, and returns that. An AssertionError or a missing
    key (a status that is not written yet) means "not yet".

    `what` finishes the sentence "waited N s for …"; the failure also shows what fn said last.
    """
    timeout *= PATIENCE
    deadline = time.monotonic() + timeout
    while True:
        try:
            last = fn()
            if last:
                return last
        except (AssertionError, KeyError) as error:
            last = error
        if time.monotonic() >= deadline:
            raise AssertionError(f"waited {timeout:g} s for {what}; last: {str(last)[:4000]}")
        time.sleep(interval)
        interval = min(interval * 1.3, 0.5)
