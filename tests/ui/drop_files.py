# SPDX-License-Identifier: GPL-3.0-or-later
"""Drops files on a window as a file manager does: ``drop_files.py X Y FILE...``, by the XDND protocol, version 4.

A program of its own, for whoever drags must answer Blender while Blender asks. Exit status 0 when the drop was taken.
Needs only libX11.
"""

import ctypes
import sys
import time
from ctypes import POINTER, Structure, Union, byref, c_char_p, c_int, c_long, c_uint, c_ulong, c_void_p
from urllib.parse import quote

CLIENT_MESSAGE, SELECTION_NOTIFY, SELECTION_REQUEST = 33, 31, 30
ATOM_TYPE, REPLACE, INPUT_ONLY = 4, 0, 2
VERSION = 4

x11 = ctypes.CDLL("libX11.so.6")
x11.XOpenDisplay.restype = c_void_p
x11.XDefaultRootWindow.restype = x11.XCreateWindow.restype = c_ulong
x11.XInternAtom.restype = c_ulong
x11.XInternAtom.argtypes = [c_void_p, c_char_p, c_int]
x11.XTranslateCoordinates.argtypes = [c_void_p, c_ulong, c_ulong, c_int, c_int, *[POINTER(c_int)] * 2, POINTER(c_ulong)]
x11.XChangeProperty.argtypes = [c_void_p, c_ulong, c_ulong, c_ulong, c_int, c_int, c_void_p, c_int]
x11.XSetSelectionOwner.argtypes = [c_void_p, c_ulong, c_ulong, c_ulong]
x11.XSendEvent.argtypes = [c_void_p, c_ulong, c_int, c_long, c_void_p]
x11.XCreateWindow.argtypes = [c_void_p, c_ulong, c_int, c_int, c_uint, c_uint, c_uint, c_int, c_uint, *[c_void_p] * 1]
x11.XCreateWindow.argtypes += [c_ulong, c_void_p]


class Common(Structure):
    _fields_ = [("type", c_int), ("serial", c_ulong), ("send_event", c_int), ("display", c_void_p)]


class ClientMessage(Structure):
    _fields_ = [*Common._fields_, ("window", c_ulong), ("kind", c_ulong), ("format", c_int), ("data", c_long * 5)]


class Request(Structure):
    _fields_ = [*Common._fields_, ("owner", c_ulong), ("requestor", c_ulong), ("selection", c_ulong)]
    _fields_ += [("target", c_ulong), ("property", c_ulong), ("time", c_ulong)]


class Notify(Structure):
    _fields_ = [*Common._fields_, ("requestor", c_ulong), ("selection", c_ulong), ("target", c_ulong)]
    _fields_ += [("property", c_ulong), ("time", c_ulong)]


class Event(Union):
    _fields_ = [("type", c_int), ("message", ClientMessage), ("request", Request), ("notify", Notify)]
    _fields_ += [("pad", c_long * 24)]


class Drag:
    """Files on their way to the window at a place of the screen."""

    def __init__(self, x, y, files):
        self.display = x11.XOpenDisplay(None)
        if not self.display:
            sys.exit("there is no display")
        x11.XDefaultRootWindow.argtypes = x11.XFlush.argtypes = x11.XPending.argtypes = [c_void_p]
        x11.XNextEvent.argtypes = [c_void_p, c_void_p]
        root = x11.XDefaultRootWindow(self.display)
        self.source = x11.XCreateWindow(self.display, root, 0, 0, 1, 1, 0, 0, INPUT_ONLY, None, 0, None)
        self.uri_list, self.selection = self.atom("text/uri-list"), self.atom("XdndSelection")
        self.data = "".join(f"file://{quote(file)}\r\n" for file in files).encode()
        x11.XSetSelectionOwner(self.display, self.selection, self.source, 0)
        place, target = c_int(), c_ulong()
        x11.XTranslateCoordinates(self.display, root, root, x, y, byref(place), byref(place), byref(target))
        self.target = target.value
        if not self.target:
            sys.exit("there is no window at this place")

    def atom(self, name):
        return x11.XInternAtom(self.display, name.encode(), 0)

    def send(self, kind, *values):
        """Send a message to the window that the pointer is over."""
        event = Event()
        event.message = ClientMessage(CLIENT_MESSAGE, 0, 1, self.display, self.target, self.atom(kind), 32)
        for place, value in enumerate((self.source, *values)):
            event.message.data[place] = value
        x11.XSendEvent(self.display, self.target, 0, 0, byref(event))
        x11.XFlush(self.display)

    def answer(self, seconds, until):
        """Give the names of the files to who asks, until a message of the kind comes; true when it came."""
        event, end, wanted = Event(), time.monotonic() + seconds, self.atom(until)
        while time.monotonic() < end:
            while x11.XPending(self.display):
                x11.XNextEvent(self.display, byref(event))
                if event.type == SELECTION_REQUEST:
                    self._hand_over(event.request)
                elif event.type == CLIENT_MESSAGE and event.message.kind == wanted:
                    return True
            time.sleep(0.02)
        return False

    def _hand_over(self, request):
        where = request.property or request.target
        if request.target == self.atom("TARGETS"):
            kinds = (c_ulong * 1)(self.uri_list)
            x11.XChangeProperty(self.display, request.requestor, where, ATOM_TYPE, 32, REPLACE, kinds, 1)
        else:
            data = ctypes.create_string_buffer(self.data, len(self.data))
            x11.XChangeProperty(
                self.display, request.requestor, where, request.target, 8, REPLACE, data, len(self.data)
            )
        event = Event()
        event.notify = Notify(SELECTION_NOTIFY, 0, 1, self.display, request.requestor, request.selection)
        event.notify.target, event.notify.property, event.notify.time = request.target, where, request.time
        x11.XSendEvent(self.display, request.requestor, 0, 0, byref(event))
        x11.XFlush(self.display)


def main(x, y, files):
    drag = Drag(x, y, files)
    drag.send("XdndEnter", VERSION << 24, drag.uri_list)
    for step in range(-12, 1, 3):
        drag.send("XdndPosition", 0, ((x + step) << 16) | y, 0, drag.atom("XdndActionCopy"))
        # A window that is busy answers late; the drop waits for the last answer.
        if not drag.answer(20, "XdndStatus"):
            return 2
    drag.send("XdndDrop", 0, 0)
    return 0 if drag.answer(60, "XdndFinished") else 3


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]))
