# SPDX-License-Identifier: Apache-2.0
"""The programs that can be had here, by the name of their runtime: folders in agentkube/images."""
import pathlib

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PROGRAMS = {"ClaudeCode": "claude-code", "Codex": "codex", "OpenCode": "opencode", "Cline": "cline"}
REAL_KEY = "sk-canary-8d1f0c52a7"  # what only the keeper is given
