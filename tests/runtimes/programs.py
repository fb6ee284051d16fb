# SPDX-License-Identifier: Apache-2.0
"""The programs that can be had here, by the name of their runtime: folders in agentkube/images."""
import pathlib

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PROGRAMS = {"ClaudeCode": "claude-code", "Codex": "codex", "OpenCode": "opencode", "Cline": "cline"}
