# SPDX-License-Identifier: GPL-3.0-or-later
"""A copy that takes the place of an object in view, so that the object itself stays as it is."""


def copy_in_place(item, scene):
    """Return a copy of a mesh object with a mesh of its own, in the same place and collections; hide the original.

    What is linked from another file has a local copy; collections that are linked cannot take it, and where there is no
    other it goes into ``scene``. Undo, or Show Hidden Objects, brings the original back.
    """
    copy = item.copy()
    copy.data = item.data.copy()
    for collection in item.users_collection:
        if collection.library is None and collection.override_library is None:
            collection.objects.link(copy)
    if not copy.users_collection:
        scene.collection.objects.link(copy)
    for shown in item.users_scene:
        for layer in shown.view_layers:
            layer.update()
            if item.name in layer.objects:
                item.hide_set(True, view_layer=layer)
    if item.library is None:
        item.hide_render = True
    return copy
