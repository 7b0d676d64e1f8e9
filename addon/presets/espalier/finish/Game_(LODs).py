# SPDX-License-Identifier: GPL-3.0-or-later
import bpy

finish = bpy.context.scene.espalier.finish

finish.draft = False
finish.repair = "MODEL"
finish.amount = "NUMBER"
finish.faces = 20000
finish.share = 100.0
finish.texture_size = "2048"
finish.occlusion = True
finish.normal_map = True
finish.lods = True
finish.use_smoothing = False
finish.smoothing = 8
finish.use_holes = False
finish.hole_length = 5.0
finish.use_floaters = False
finish.floater_size = 2.0
finish.thickness = 0.0
