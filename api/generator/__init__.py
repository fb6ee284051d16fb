# SPDX-License-Identifier: Apache-2.0
"""Turns api/v1alpha1/*.yaml into definitions, C types and reference pages."""
