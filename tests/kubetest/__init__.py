# SPDX-License-Identifier: Apache-2.0
"""What the tests on a real API server use: a cluster, the manager as a process, and waiting for conditions.

    from kubetest import wait_for
    def test_x(control_plane, namespace, manager): ...

The fixtures are in tests/conftest.py.
"""
from .cluster import Cluster, NoRights, start_cluster
from .manager import Manager, SANITIZER_REPORT, bin_folder, program
from .wait import wait_for

__all__ = ["Cluster", "NoRights", "start_cluster", "Manager", "SANITIZER_REPORT", "bin_folder", "program", "wait_for"]
