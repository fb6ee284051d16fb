# SPDX-License-Identifier: Apache-2.0
"""The fixtures (control_plane, namespace, manager) are shared with tests/fault and tests/e2e: see ../conftest.py."""
