# SPDX-License-Identifier: GPL-3.0-or-later
"""Sentences that the engine makes while it works on jobs: failures and notes."""

from . import models_told

TOLD = {
    **models_told.TOLD,
    # The job
    "Waiting for another Blender, which is working on {0} (engine process {1}).": (
        "Wartet auf ein anderes Blender, das an {0} arbeitet (Engine-Prozess {1})."
    ),
    "Waiting for another Blender, which is using the device.": (
        "Wartet auf ein anderes Blender, das das Gerät benutzt."
    ),
    "The disk that holds {0} is full. Free some space, then run the job again.": (
        "Der Datenträger mit {0} ist voll. Platz schaffen und den Auftrag wiederholen."
    ),
    "Espalier may not use {0}. Allow it, or choose another folder.": (
        "Espalier darf {0} nicht benutzen. Es erlauben oder einen anderen Ordner wählen."
    ),
    "There is not enough memory for this job. Close other programs, or choose a lower quality.": (
        "Der Speicher reicht für diesen Auftrag nicht. Andere Programme schließen oder eine niedrigere Qualität wählen."
    ),
    "The engine's Python lacks the module {0}. Press Install Engine to repair it.": (
        "Dem Python der Engine fehlt das Modul {0}. Mit „Engine installieren“ reparieren."
    ),
    "The file {0} is not there. Start the job again from its image.": (
        "Die Datei {0} ist nicht da. Den Auftrag mit seinem Bild neu beginnen."
    ),
    "The engine met an error that it does not know. The log has the details; running the job again may help.": (
        "Die Engine stieß auf einen unbekannten Fehler. Näheres steht im Protokoll; Wiederholen hilft vielleicht."
    ),
    "The engine was stopped while this job was running.": "Die Engine wurde beendet, während dieser Auftrag lief.",
    "The job was cancelled.": "Der Auftrag wurde abgebrochen.",
    "The job names the file {0}, which is not a plain file name in its folder.": (
        "Der Auftrag nennt die Datei {0}, die kein einfacher Dateiname in seinem Ordner ist."
    ),
    "The job folder {0} has no readable {1}. Start the job again.": (
        "Der Auftragsordner {0} hat keine lesbare {1}. Den Auftrag neu beginnen."
    ),
    "The job {0} is {1}; it cannot become {2}.": "Der Auftrag {0} ist {1}; er kann nicht {2} werden.",
    "The job folder {0} does not exist. Start the job again.": (
        "Den Auftragsordner {0} gibt es nicht. Den Auftrag neu beginnen."
    ),
    "The job folder {0} is not an absolute path.": "Der Auftragsordner {0} ist kein absoluter Pfad.",
    "The name of a job has {0} letters; {1} may be.": "Der Name eines Auftrags hat {0} Zeichen; {1} sind erlaubt.",
    "This engine cannot do jobs of the kind {0}.": "Diese Engine kennt keine Aufträge der Art {0}.",
    "This job was handed in twice; it runs once.": "Dieser Auftrag kam zweimal an; er läuft einmal.",
    "The job names no input image. Start it again from an image.": (
        "Der Auftrag nennt kein Bild. Ihn mit einem Bild neu beginnen."
    ),
    "The job's folder for models is no path. Start the job again.": (
        "Der Modellordner des Auftrags ist kein Pfad. Den Auftrag neu beginnen."
    ),
    "The job names no usable folder of models. Start the job again.": (
        "Der Auftrag nennt keinen brauchbaren Modellordner. Den Auftrag neu beginnen."
    ),
    "The job does not say which model it is for. Start the job again.": (
        "Der Auftrag sagt nicht, für welches Modell er ist. Den Auftrag neu beginnen."
    ),
    "The seed {0} is not a whole number from 0. Choose another seed.": (
        "Der Startwert {0} ist keine ganze Zahl ab 0. Einen anderen wählen."
    ),
    "The sampler settings of this job cannot be read. Start the job again.": (
        "Die Sampler-Werte dieses Auftrags sind nicht lesbar. Den Auftrag neu beginnen."
    ),
    "The settings of this job cannot be read. Start the job again.": (
        "Die Werte dieses Auftrags sind nicht lesbar. Den Auftrag neu beginnen."
    ),
    "The settings of the {0} sampler cannot be used: {1}.": "Die Werte des Samplers „{0}“ sind unbrauchbar: {1}.",
    "There is no {0} “{1}”. Choose one of: {2}.": "„{1}“ gibt es als {0:told} nicht. Zur Wahl stehen: {2}.",
    "sampler": "Sampler",
    "setting": "Wert",
    "setting of the {0} sampler": "Wert des Samplers {0}",
    "There is no matting {0}. Choose one of: {1}.": "Die Freistellung {0} gibt es nicht. Zur Wahl stehen: {1}.",
    "The job to finish again is given as {0}: name its whole folder.": (
        "Der neu fertigzustellende Auftrag ist als {0} angegeben: den ganzen Ordner nennen."
    ),
    "The job folder {0} does not exist any more. Generate the object again.": (
        "Den Auftragsordner {0} gibt es nicht mehr. Das Objekt neu erzeugen."
    ),
    "The folder {0} is no job: it has no readable {1}.": ("Der Ordner {0} ist kein Auftrag: er hat keine lesbare {1}."),
    "Only a generation can be finished again, and {0} holds a job of the kind {1}.": (
        "Nur Erzeugtes lässt sich neu fertigstellen, und {0} enthält einen Auftrag der Art {1}."
    ),
    "The model of this object is no longer on this computer, so its own finishing settings are not known.": (
        "Das Modell dieses Objekts ist nicht mehr auf diesem Rechner, daher sind seine eigenen Werte zum Fertigstellen "
        "nicht bekannt."
    ),
    "The file “{0}” of the job “{1}” {2} Generate the object again.": (
        "Die Datei „{0}“ des Auftrags „{1}“ {2:told} Das Objekt neu erzeugen."
    ),
    "is damaged: its voxels are incomplete.": "ist beschädigt: ihre Voxel sind unvollständig.",
    "is damaged: its voxels do not lie in their grid.": "ist beschädigt: ihre Voxel liegen nicht in ihrem Raster.",
    "is damaged: its surface is not where its voxels are.": (
        "ist beschädigt: ihre Oberfläche ist nicht da, wo ihre Voxel sind."
    ),
    "is damaged: it does not say how fine its grid is.": "ist beschädigt: sie sagt nicht, wie fein ihr Raster ist.",
    "has {0} voxels, which cannot be finished.": "hat {0} Voxel, die sich nicht fertigstellen lassen.",
    # The image
    "The image has no pixels (its width or height is zero). Choose another image.": (
        "Das Bild hat keine Pixel (Breite oder Höhe ist null). Ein anderes Bild wählen."
    ),
    "The image has no transparent background to find its subject by. Use one that has, or choose another way.": (
        "Das Bild hat keinen transparenten Hintergrund, an dem das Motiv zu erkennen wäre. Ein solches nehmen oder "
        "einen anderen Weg wählen."
    ),
    "The subject was found by the image's own transparency.": "Das Motiv wurde an der Transparenz des Bildes erkannt.",
    "The subject is less than {0} pixels large. Choose an image that shows it larger.": (
        "Das Motiv ist kleiner als {0} Pixel. Ein Bild wählen, das es größer zeigt."
    ),
    "The image is fully transparent, so there is nothing to build. Choose an image that shows a subject.": (
        "Das Bild ist ganz transparent, es gibt nichts zu bauen. Ein Bild wählen, das ein Motiv zeigt."
    ),
    "The whole subject is partly transparent.": "Das ganze Motiv ist teilweise transparent.",
    "The whole image was taken as the subject.": "Das ganze Bild wurde als Motiv genommen.",
    "The background was removed by its plain colour.": "Der Hintergrund wurde nach seiner Farbe entfernt.",
    "No subject was found: the whole picture looks like background. Use an image whose subject stands out, or one "
    "with a transparent background.": (
        "Kein Motiv gefunden: das ganze Bild sieht wie Hintergrund aus. Ein Bild nehmen, dessen Motiv sich abhebt, "
        "oder eines mit transparentem Hintergrund."
    ),
    "Only {0} of the border is plain background: parts of the background may have stayed.": (
        "Nur {0} des Randes sind einfarbiger Hintergrund: Teile davon können geblieben sein."
    ),
    "The subject's soft shadow was removed.": "Der weiche Schatten des Motivs wurde entfernt.",
    "An enclosed area of background colour became a hole.": (
        "Eine umschlossene Stelle in Hintergrundfarbe wurde zu einem Loch."
    ),
    "{0} enclosed areas of background colour became holes.": (
        "{0} umschlossene Stellen in Hintergrundfarbe wurden zu Löchern."
    ),
    "The background is not plain, so the subject cannot be told apart. Use an image with a transparent background or "
    "a plain backdrop, fetch BiRefNet, or choose to keep the whole image.": (
        "Der Hintergrund ist nicht einfarbig, das Motiv lässt sich nicht trennen. Ein Bild mit transparentem oder "
        "einfarbigem Hintergrund nehmen, BiRefNet herunterladen oder „Ganzes Bild behalten“ wählen."
    ),
    "{0} of the border has one smooth colour; {1} are needed.": (
        "{0} des Randes haben eine gleichmäßige Farbe; {1} sind nötig."
    ),
    "There is not enough memory for BiRefNet. Close other programs, or use an image with a transparent background.": (
        "Der Speicher reicht für BiRefNet nicht. Andere Programme schließen oder ein Bild mit transparentem "
        "Hintergrund nehmen."
    ),
    "BiRefNet found no subject in the image. Use an image with a transparent background, or choose to keep the whole "
    "image.": (
        "BiRefNet fand kein Motiv im Bild. Ein Bild mit transparentem Hintergrund nehmen oder „Ganzes Bild behalten“ "
        "wählen."
    ),
    "The background was removed by BiRefNet.": "Der Hintergrund wurde von BiRefNet entfernt.",
    "BiRefNet needs ONNX Runtime, which the engine's Python lacks. Press Install Engine to repair it.": (
        "BiRefNet braucht die ONNX Runtime, die dem Python der Engine fehlt. Mit „Engine installieren“ reparieren."
    ),
    "“{0}” {1}": "„{0}“ {1:told}",
    "{0}, too large to open safely. Scale it down (1024 pixels a side are enough) and choose the smaller file.": (
        "{0:told}, zu groß zum sicheren Öffnen. Verkleinern (1024 Pixel je Seite genügen) und diese Datei wählen."
    ),
    "needs more memory than there is": "braucht mehr Speicher, als da ist",
    "is {0} x {1} pixels": "hat {0} x {1} Pixel",
    "is a folder. Choose an image file.": "ist ein Ordner. Eine Bilddatei wählen.",
    "was not found. Choose the image again.": "wurde nicht gefunden. Das Bild neu wählen.",
    "cannot be read ({0}). Check the file's permissions.": "ist nicht lesbar ({0}). Die Rechte der Datei prüfen.",
    "is an empty file (0 bytes). Save the image again.": "ist eine leere Datei (0 Bytes). Das Bild neu speichern.",
    "is {0}, which cannot be read here. Save it as PNG or JPEG and choose that file.": (
        "ist {0} und hier nicht lesbar. Als PNG oder JPEG speichern und diese Datei wählen."
    ),
    "is not an image that can be read. Save it as PNG, JPEG or WebP.": (
        "ist kein lesbares Bild. Als PNG, JPEG oder WebP speichern."
    ),
    "is damaged or incomplete. Save or download the image again.": (
        "ist beschädigt oder unvollständig. Das Bild neu speichern oder herunterladen."
    ),
    "has no pixels (its width or height is zero). Save the image again.": (
        "hat keine Pixel (Breite oder Höhe ist null). Das Bild neu speichern."
    ),
    # Memory
    "Quality {0} takes about {1} of {2}.": "Qualität {0} braucht etwa {1} {2:told}.",
    "Quality {0} fits: it takes about {1} of {2}, and {3} are free.": (
        "Qualität {0} passt: sie braucht etwa {1} {2:told}, und {3} sind frei."
    ),
    "Quality {0} would take about {1} of {2}, and {3} are free: its networks take turns in about {4}.": (
        "Qualität {0} bräuchte etwa {1} {2:told}, und {3} sind frei: ihre Netzwerke wechseln sich in etwa {4} ab."
    ),
    "Quality {0} does not fit: it needs about {1} of {2} at once, and {3} are free.": (
        "Qualität {0} passt nicht: sie braucht etwa {1} {2:told} auf einmal, und {3} sind frei."
    ),
    "graphics memory": "Grafikspeicher",
    "memory": "Speicher",
    "Quality {0} would fit.": "Qualität {0} würde passen.",
    "There is not enough memory for quality {0}. {1}": "Der Speicher reicht für Qualität {0} nicht. {1:told}",
    "Close other programs, or use the starter model.": (
        "Andere Programme schließen oder das Einstiegsmodell verwenden."
    ),
    "Memory ran out. The job starts once more, with one network in memory at a time.": (
        "Der Speicher ging aus. Der Auftrag beginnt noch einmal, mit nur einem Netzwerk zur Zeit im Speicher."
    ),
    # Generating
    "The model found no solid object in this image. Try another seed or a clearer picture.": (
        "Das Modell fand in diesem Bild kein festes Objekt. Anderen Startwert oder klareres Bild versuchen."
    ),
    "The model produced no voxels for this input. Try another seed or a clearer image.": (
        "Das Modell erzeugte hierfür keine Voxel. Anderen Startwert oder klareres Bild versuchen."
    ),
    "The generated surface is empty: try another seed, or a clearer image.": (
        "Die erzeugte Oberfläche ist leer: anderen Startwert oder klareres Bild versuchen."
    ),
    "The generated surface is empty: try another seed, or an image that shows one object clearly.": (
        "Die erzeugte Oberfläche ist leer: anderen Startwert versuchen oder ein Bild, das ein Objekt klar zeigt."
    ),
    "The object has no voxel materials, so no textures can be made.": (
        "Das Objekt hat keine Voxel-Materialien, daher gibt es keine Texturen."
    ),
    # Meshes to texture
    "The mesh has no faces. Choose an object with a surface.": (
        "Das Mesh hat keine Flächen. Ein Objekt mit einer Oberfläche wählen."
    ),
    "The mesh has no vertices. Choose an object with a surface.": (
        "Das Mesh hat keine Vertices. Ein Objekt mit einer Oberfläche wählen."
    ),
    "The mesh has no extent: all its vertices are at one point.": (
        "Das Mesh hat keine Ausdehnung: alle Vertices liegen in einem Punkt."
    ),
    "The mesh has {0} triangles and at most {1} can be textured. Reduce it with a Decimate modifier.": (
        "Das Mesh hat {0} Dreiecke, höchstens {1} lassen sich texturieren. Mit dem Modifikator „Dezimieren“ verringern."
    ),
    "The mesh has {0} triangles and {1} vertices, more than can be textured. Reduce it with a Decimate modifier.": (
        "Das Mesh hat {0} Dreiecke und {1} Vertices, mehr als sich texturieren lassen. Mit dem Modifikator "
        "„Dezimieren“ verringern."
    ),
    "The mesh has faces that point to missing vertices. Validate the mesh and try again.": (
        "Das Mesh hat Flächen, deren Vertices fehlen. Das Mesh prüfen und noch einmal versuchen."
    ),
    "The mesh has vertices at infinite or undefined positions. Remove them and try again.": (
        "Das Mesh hat Vertices an unendlichen oder undefinierten Orten. Sie entfernen und noch einmal versuchen."
    ),
    "The mesh must have vertices with three coordinates and faces with three corners.": (
        "Das Mesh braucht Vertices mit drei Koordinaten und Flächen mit drei Ecken."
    ),
    "The mesh reaches outside the voxel box. Normalise it first.": (
        "Das Mesh ragt aus dem Voxelraum. Zuerst normalisieren."
    ),
    "The weights of the dual vertex energy must not be negative.": (
        "Die Gewichte der Energie der dualen Punkte dürfen nicht negativ sein."
    ),
    "The UV coordinates do not fit the faces of the mesh. Unwrap the mesh and try again.": (
        "Die UVs passen nicht zu den Flächen des Meshs. Das Mesh abwickeln und noch einmal versuchen."
    ),
    "The UV coordinates of the mesh leave the unit square or are undefined. Unwrap the mesh and try again.": (
        "Die UVs des Meshs verlassen das Einheitsquadrat oder sind undefiniert. Das Mesh abwickeln und noch einmal "
        "versuchen."
    ),
    "The mesh has no area to be textured: all its triangles are thin as a line. Check the mesh.": (
        "Das Mesh hat keine texturierbare Fläche: alle Dreiecke sind dünn wie eine Linie. Das Mesh prüfen."
    ),
    "The job has no mesh. Start it again from an object.": (
        "Der Auftrag hat kein Mesh. Ihn mit einem Objekt neu beginnen."
    ),
    "The mesh of this job cannot be read. Start the job again from the object.": (
        "Das Mesh dieses Auftrags ist nicht lesbar. Den Auftrag mit dem Objekt neu beginnen."
    ),
    # Finishing
    "The surface is not a list of triangles, so it cannot be finished.": (
        "Die Oberfläche ist keine Liste von Dreiecken und lässt sich nicht fertigstellen."
    ),
    "The surface refers to vertices that it does not have.": "Die Oberfläche nennt Vertices, die sie nicht hat.",
    "The object is in {0} separate pieces, and a texture of {1} texels has room for {2}: clear away small pieces with "
    "a floater size, choose the repair “watertight”, or take a larger texture.": (
        "Das Objekt besteht aus {0} getrennten Teilen, und eine Textur von {1} Pixeln hat Platz für {2}: kleine Teile "
        "mit „Ohne Krümel“ beseitigen, die Reparatur „Wasserdicht“ oder eine größere Textur wählen."
    ),
    "Rays need numba: install the engine again.": "Strahlen brauchen numba: die Engine neu installieren.",
    "A watertight object needs the voxels it was made from. Generate it again.": (
        "Ein wasserdichtes Objekt braucht die Voxel, aus denen es entstand. Es neu erzeugen."
    ),
    "The setting {0} is {1} and should be a whole number.": "Der Wert {0} ist {1}; er sollte eine ganze Zahl sein.",
    "The setting {0} is {1}, which is not possible: choose {2}.": (
        "Der Wert {0} ist {1}, das geht nicht: {2:told} wählen."
    ),
    "a whole number from {0}": "eine ganze Zahl ab {0}",
    "a whole number from {0} to {1}": "eine ganze Zahl von {0} bis {1}",
    "The setting {0} is {1} and should be a number from 0 to {2}.": (
        "Der Wert {0} ist {1}; er sollte eine Zahl von 0 bis {2} sein."
    ),
    "The setting {0} is {1}, which is not possible: choose a number from 0 to {2}.": (
        "Der Wert {0} ist {1}, das geht nicht: eine Zahl von 0 bis {2} wählen."
    ),
    "Of 8-bit weights and FP8 only one can be had: switch one of them off.": (
        "Von 8-Bit-Gewichten und FP8 geht nur eines: eines von beiden ausschalten."
    ),
    "{0}: switch it off.": "{0:told}: ausschalten.",
    "FP8 needs an NVIDIA graphics card of the RTX 40 series, H100 or newer": (
        "FP8 braucht eine NVIDIA-Grafikkarte der Reihe RTX 40, H100 oder neuer"
    ),
    "This graphics card is too old for FP8, which came with the RTX 40 series and H100": (
        "Diese Grafikkarte ist zu alt für FP8, das mit der Reihe RTX 40 und H100 kam"
    ),
    "FP8 does not work with this graphics card and this version of torch": (
        "FP8 läuft mit dieser Grafikkarte und dieser Fassung von torch nicht"
    ),
    "The setting {0} is {1}, which is neither true nor false.": "Der Wert {0} ist {1}, weder wahr noch falsch.",
    "The setting lods should be a list of at most {0} shares, for example 0.5 and 0.25.": (
        "Der Wert lods sollte eine Liste von höchstens {0} Anteilen sein, zum Beispiel 0.5 und 0.25."
    ),
    "The shares in lods have to fall, each below 1 and above 0, for example 0.5 and 0.25.": (
        "Die Anteile in lods müssen fallen, jeder unter 1 und über 0, zum Beispiel 0.5 und 0.25."
    ),
    "There is no repair {0}: choose {1}.": "Die Reparatur {0} gibt es nicht: {1} wählen.",
    "Only the repair “watertight” thickens sheets: choose it, or leave the thickness out.": (
        "Nur die Reparatur „Wasserdicht“ verdickt Blätter: sie wählen oder die Dicke weglassen."
    ),
    "The setting ratio is 0, and an object needs faces: choose a number above 0 and up to 1.": (
        "Der Wert ratio ist 0, und ein Objekt braucht Flächen: eine Zahl über 0 bis 1 wählen."
    ),
    "Both faces and ratio say how many faces the object shall have: give only one of them.": (
        "Sowohl faces als auch ratio sagen, wie viele Flächen das Objekt haben soll: nur eines angeben."
    ),
    "The object keeps {0} faces, more than the {1} asked for: its pieces and open rims need them.": (
        "Das Objekt behält {0} Flächen, mehr als die verlangten {1}: seine Teile und offenen Ränder brauchen sie."
    ),
    "LOD{0}, asked for with {1} % of the faces, keeps {2}: the borders of the charts on the maps need them.": (
        "LOD{0}, mit {1} % der Flächen verlangt, behält {2}: die Ränder der UV-Inseln brauchen sie."
    ),
    "Loose crumbs were taken away: {0}. The repair “as generated” keeps them.": (
        "Lose Krümel wurden entfernt: {0}. Die Reparatur „Wie erzeugt“ behält sie."
    ),
    "Small pieces were taken away to get to {0} faces: {1}. More faces keep them.": (
        "Kleine Teile wurden entfernt, um auf {0} Flächen zu kommen: {1}. Mehr Flächen behalten sie."
    ),
    "{0} of the surface could not be unfolded and was projected from six sides: more seams show.": (
        "{0} der Oberfläche ließen sich nicht abwickeln und wurden von sechs Seiten projiziert: mehr Nähte sind zu "
        "sehen."
    ),
    "The UV islands fill the maps badly, so that they look coarse: choose larger textures.": (
        "Die UV-Inseln füllen die Texturen schlecht, daher wirken sie grob: größere Texturen wählen."
    ),
    "The {0} UV islands lie too close together on the maps, so that colours may bleed at a distance: choose larger "
    "textures.": (
        "Die {0} UV-Inseln liegen auf den Texturen zu dicht beisammen, sodass Farben aus der Ferne verlaufen können: "
        "größere Texturen wählen."
    ),
    "Compiling for this computer, once": "Wird einmalig für diesen Rechner kompiliert",
    # Voxels
    "The voxel values do not fit their coordinates or the positions asked for.": (
        "Die Voxelwerte passen nicht zu ihren Koordinaten oder den gefragten Orten."
    ),
    "The voxel data has voxels outside its grid.": "Die Voxeldaten haben Voxel außerhalb ihres Rasters.",
    "The voxel data does not fit together: its parts describe different numbers of voxels.": (
        "Die Voxeldaten passen nicht zusammen: ihre Teile beschreiben verschieden viele Voxel."
    ),
    "The voxel data has undefined numbers, so no surface can be made from it.": (
        "Die Voxeldaten haben undefinierte Zahlen, daher lässt sich keine Oberfläche daraus machen."
    ),
}
