# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs inside Blender: steps the script of a window test from a timer and gives it mouse, keyboard and pictures."""

import json
import os
import runpy
import subprocess
import sys
import time
import traceback
import types

import bpy

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from picture import png, xframe

CFG = json.loads(os.environ["BLENDER_ROOT_UI"])
T0 = time.time()


def log(*a):
    print("@@ui %6.2f" % (time.time() - T0), *a, flush=True)


class UI:
    """Handed to main(ui). Screen coordinates: X's, origin at the top left, in pixels."""

    cfg, log = CFG, staticmethod(log)

    @property
    def window(self):
        return bpy.context.window_manager.windows[0]

    def area(self, kind="VIEW_3D"):
        return next(a for a in self.window.screen.areas if a.type == kind)

    def region(self, kind="UI", area="VIEW_3D"):
        return next(r for r in self.area(area).regions if r.type == kind)

    def override(self, area="VIEW_3D", region="WINDOW"):
        return bpy.context.temp_override(window=self.window, area=self.area(area), region=self.region(region, area))

    def rect(self, region):
        """region -> (left, top, right, bottom) on the X screen"""
        H = self.window.height
        return (region.x, H - region.y - region.height, region.x + region.width, H - region.y)

    def show_sidebar(self, category=None):
        a = self.area()
        a.spaces.active.show_region_ui = True
        if category:
            # only legal once the sidebar has been drawn with its tabs: call again after a yield
            try:
                self.region("UI").active_panel_category = category
                return True
            except (TypeError, AttributeError) as e:
                log("category not there yet:", e)
                return False
        return True

    def redraw(self):
        for a in self.window.screen.areas:
            a.tag_redraw()

    def xdo(self, *args):
        subprocess.run(["xdotool", *map(str, args)], check=True, timeout=60)

    def move(self, x, y):
        self.xdo("mousemove", int(x), int(y))

    def click(self, x, y, button=1):
        """generator: `yield from ui.click(x, y)`.  Real X events, with Blender's event loop running between them:
        sent in one go they are merged, and a press that arrives before the move to a new button was handled is lost."""
        self.xdo("mousemove", int(x) - 8, int(y) - 2)
        yield 0.15
        self.xdo("mousemove", int(x), int(y))
        yield 0.2
        self.xdo("mousedown", button)
        yield 0.1
        self.xdo("mouseup", button)
        yield 0.4

    def key(self, *keys):
        self.xdo("key", *keys)

    def type(self, text):
        self.xdo("type", "--delay", "40", text)

    def shot(self, path):
        """picture taken at the X server (what a person would see)"""
        png(path, *xframe(CFG["fbdir"]))
        log("shot", path)

    def blender_shot(self, path):
        """picture by Blender's own operator (black with the OpenGL backend on llvmpipe)"""
        with bpy.context.temp_override(window=self.window):
            return bpy.ops.screen.screenshot(filepath=path)

    def find_color(self, rgb, rect=None, tol=2, min_px=40):
        """bounding boxes (l, t, r, b), top to bottom, of vertical runs of rows that hold colour rgb inside rect"""
        w, h, rows = xframe(CFG["fbdir"])
        left, top, right, bottom = rect or (0, 0, w, h)
        hits = []
        for y in range(max(top, 0), min(bottom, h)):
            row = rows[y]
            xs = [
                x
                for x in range(max(left, 0), min(right, w))
                if all(abs(row[3 * x + k] - rgb[k]) <= tol for k in range(3))
            ]
            if len(xs) >= min_px:
                if hits and hits[-1][3] >= y - 1:
                    q = hits[-1]
                    q[0], q[2], q[3] = min(q[0], xs[0]), max(q[2], xs[-1]), y
                else:
                    hits.append([xs[0], y, xs[-1], y])
        return [tuple(q) for q in hits]

    def operator_buttons(self, region=None):
        """generator: `boxes = yield from ui.operator_buttons()`.  Boxes of the operator buttons in the region:
        the theme's colour for them is made unmistakable for a moment and looked for in the picture."""
        th = bpy.context.preferences.themes[0].user_interface.wcol_tool
        keep = tuple(th.inner), th.show_shaded
        th.inner, th.show_shaded = (1, 0, 1, 1), False
        self.redraw()
        yield 1.0
        # display of theme colours is direct (no view transform); anything clearly magenta counts
        boxes = [
            q
            for q in self.find_color((255, 0, 255), self.rect(region or self.region("UI")), tol=12)
            if q[3] - q[1] >= 8
        ]
        th.inner, th.show_shaded = keep
        self.redraw()
        yield 0.5
        return boxes


ui = UI()
bpy.context.preferences.view.show_splash = False
bpy.context.preferences.view.ui_scale = CFG["ui_scale"]
bpy.context.preferences.filepaths.use_auto_save_temporary_files = False


def fail(e):
    traceback.print_exc()
    log("FAILED", repr(e))
    if CFG["screenshot"]:
        ui.shot(os.path.splitext(CFG["screenshot"])[0] + ".failed.png")
    finish(1)


def finish(rc):
    sys.stdout.flush()
    sys.stderr.flush()
    log("END", rc)
    if rc:
        # Blender's own quit always says 0
        os._exit(rc)
    bpy.context.preferences.use_preferences_save = False
    bpy.ops.wm.quit_blender()


def steps():
    yield 0.5
    import gpu

    log("gpu", gpu.platform.backend_type_get(), "|", gpu.platform.renderer_get(), "|", gpu.platform.version_get())
    w = ui.window
    log("window", w.width, w.height)
    if CFG["script"]:
        ns = runpy.run_path(CFG["script"], run_name="__blender_root__")
        if "main" in ns:
            r = ns["main"](ui)
            if isinstance(r, types.GeneratorType):
                yield from r
    ui.redraw()
    yield CFG["wait"]
    if CFG["screenshot"]:
        base, ext = os.path.splitext(CFG["screenshot"])
        ui.shot(CFG["screenshot"])
        log("blender_shot", ui.blender_shot(base + ".blender" + ext))
    yield 0.1


gen = steps()


def tick():
    try:
        d = next(gen)
        return 0.05 if d is None else max(float(d), 0.01)
    except StopIteration:
        finish(0)
    except BaseException as e:
        fail(e)
    return None


bpy.app.timers.register(tick, first_interval=1.0, persistent=True)
