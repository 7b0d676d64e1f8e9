# SPDX-License-Identifier: GPL-3.0-or-later
import bpy

finish = bpy.context.scene.espalier.finish

finish.draft = False
finish.repair = "WATERTIGHT"
finish.amount = "NUMBER"
finish.faces = 200000
finish.share = 100.0
finish.texture_size = "1024"
finish.occlusion = False
finish.normal_map = False
finish.lods = False
finish.use_smoothing = False
finish.smoothing = 8
finish.use_holes = False
finish.hole_length = 5.0
finish.use_floaters = False
finish.floater_size = 2.0
finish.thickness = 1.0
