# SPDX-License-Identifier: GPL-3.0-or-later
"""Espalier, a Blender extension: images become finished 3D objects on the user's own machine."""


def register():
    from .addon import registration

    registration.register()


def unregister():
    from .addon import registration

    registration.unregister()
