# SPDX-License-Identifier: Apache-2.0
"""The fixtures are in ../conftest.py; the proxy is in proxy.py beside this file."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
