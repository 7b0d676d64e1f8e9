# SPDX-License-Identifier: GPL-3.0-or-later
"""The stages in the order of the paper's figure, and the job handlers that run them for the server."""
