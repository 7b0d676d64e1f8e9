# SPDX-License-Identifier: GPL-3.0-or-later
"""Training of the networks from scratch: data in, safetensors out, every stage resumable and time-boxed."""
