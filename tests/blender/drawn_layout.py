# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands in for Blender's layouts where there is no window."""


class Layout:
    """Writes down what is drawn: there are no real layouts without a window."""

    def __init__(self, drawn):
        self.drawn = drawn

    def row(self, **_options):
        return Layout(self.drawn)

    column = row

    def label(self, text="", icon_value=0, **_options):
        self.drawn.append("picture" if icon_value else text)

    def progress(self, **_options):
        self.drawn.append("progress")

    def operator(self, name, **_options):
        self.drawn.append(name)
        return Layout(self.drawn)
