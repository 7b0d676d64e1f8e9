# SPDX-License-Identifier: GPL-3.0-or-later
"""Triton kernels, each beside the plain-torch function that defines it.

``<name>.py`` holds the definition and chooses; ``<name>_triton.py`` holds the kernel and the function that launches it,
and is imported only where it serves (``choice.py``). ``compiled_loops.py`` compiles loops for the processor.
"""
