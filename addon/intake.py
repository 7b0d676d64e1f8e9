# SPDX-License-Identifier: GPL-3.0-or-later
"""Many images that become jobs: read one after the other between Blender's own work, for a folder may hold hundreds."""

from collections import deque

from .client import ClientError
from .orders import next_in_row
from .session import session


class Intake:
    """Image files with the request of each, whose results stand in a row that begins with the place ``row``.

    ``refused`` has a sentence for each image that was left out so far, ``taken`` counts the others.
    """

    def __init__(self, images, row):
        self._images = deque(images)
        self._row = row
        self.refused = []
        self.taken = 0

    @property
    def left(self):
        """How many images have not been looked at."""
        return len(self._images)

    def step(self):
        """Read one image and queue its job."""
        from .scene.pixels import BadImage, source_of_file

        path, request = self._images.popleft()
        try:
            source, suffix = source_of_file(path)
            session.enqueue(source, suffix, request, self._row)
        except (BadImage, ClientError) as error:
            self.refused.append(str(error))
            return
        self._row = next_in_row(self._row)
        self.taken += 1
