# SPDX-License-Identifier: GPL-3.0-or-later
"""What operators report, why they cannot be pressed, and what the panel says afterwards."""

WORDS = {
    # Why something cannot be pressed
    "Nothing is running": "Es läuft nichts",
    "The engine is not running, and holds no memory": "Die Engine läuft nicht und belegt keinen Speicher",
    "A job is running and needs the memory": "Ein Auftrag läuft und braucht den Speicher",
    "Select an object that was generated here and whose job is still on this computer": (
        "Ein Objekt auswählen, das hier erzeugt wurde und dessen Auftrag noch auf diesem Rechner ist"
    ),
    "Select the object itself: its levels of detail are finished with it": (
        "Das Objekt selbst auswählen: seine Detailstufen werden mit ihm fertiggestellt"
    ),
    "Select an object that was generated": "Ein erzeugtes Objekt auswählen",
    "Return to Object Mode first": "Zuerst in den Objektmodus wechseln",
    "The engine is being installed": "Die Engine wird gerade installiert",
    "There is no engine yet: press Install Engine": "Es gibt noch keine Engine: „Engine installieren“ drücken",
    "Choose or open an image first": "Zuerst ein Bild wählen oder öffnen",
    "The weights of TRELLIS.2-4B are not on this computer: download them, or name their folder": (
        "Die Gewichte von TRELLIS.2-4B sind nicht auf diesem Rechner: herunterladen oder ihren Ordner angeben"
    ),
    "A job is running: cancel it or wait for its end": "Ein Auftrag läuft: abbrechen oder sein Ende abwarten",
    "Blender may not go online: allow it in Preferences, System, Network": (
        "Blender darf nicht online gehen: in den Einstellungen unter System, Netzwerk erlauben"
    ),
    "Nothing is being installed": "Es wird nichts installiert",
    "There is no log yet": "Es gibt noch kein Protokoll",
    "Wait until what runs is done": "Warten, bis das Laufende fertig ist",
    "Open a 3D viewport first": "Zuerst ein 3D-Ansichtsfenster öffnen",
    "This editor shows no image": "Dieser Editor zeigt kein Bild",
    "Select the mesh objects to texture": "Die Mesh-Objekte auswählen, die texturiert werden sollen",
    # What was done
    "1 more object shares its mesh and the texture.": "1 weiteres Objekt teilt sein Mesh und die Textur.",
    "{count} more objects share its mesh and the texture.": "{count} weitere Objekte teilen sein Mesh und die Textur.",
    "{name}: textured, seed {seed}{took}.": "{name}: texturiert, Startwert {seed}{took}.",
    "{name}: {made}, seed {seed}{took}": "{name}: {made}, Startwert {seed}{took}",
    "{name}: {made}, seed {seed}": "{name}: {made}, Startwert {seed}",
    "“{name}”, which is the same, stands there already: move the 3D cursor, or choose another seed.": (
        "Dort steht schon „{name}“, das gleich ist: den 3D-Cursor bewegen oder einen anderen Startwert wählen."
    ),
    "It stands inside “{name}”, which hides it.": "Es steht in „{name}“ und ist davon verdeckt.",
    "{faces:,} faces and {count} LODs": "{faces:,} Flächen und {count} LODs",
    "{faces:,} faces": "{faces:,} Flächen",
    "{name}: finished again, {made}{took}.": "{name}: neu fertiggestellt, {made}{took}.",
    "{name}: cancelled": "{name}: abgebrochen",
    "{count} images go into the queue": "{count} Bilder kommen in die Warteschlange",
    "The report is in the clipboard": "Der Bericht ist in der Zwischenablage",
    "The installation was cancelled. What was downloaded is kept.": (
        "Die Installation wurde abgebrochen. Was heruntergeladen wurde, bleibt erhalten."
    ),
    "The engine is installed.": "Die Engine ist installiert.",
    # What could not be done
    "This texture is on its object already, or its job is gone.": (
        "Diese Textur ist schon auf ihrem Objekt, oder ihr Auftrag ist nicht mehr da."
    ),
    "This result is in the scene already, or its job is gone.": (
        "Dieses Ergebnis ist schon in der Szene, oder sein Auftrag ist nicht mehr da."
    ),
    "The settings of “{name}” cannot be read: {why}.": "Die Werte von „{name}“ sind nicht lesbar: {why}.",
    "“{name}” is no longer in the file. The new result is kept in {folder}.": (
        "„{name}“ ist nicht mehr in der Datei. Das neue Ergebnis liegt in {folder}."
    ),
    "“{name}” is no longer in the file. "
    "Its texture is kept: select a mesh like it and press Apply Texture in Results.": (
        "„{name}“ ist nicht mehr in der Datei. Seine Textur bleibt erhalten: ein gleiches Mesh auswählen und in den "
        "Ergebnissen „Textur anwenden“ drücken."
    ),
    "Drop one image on a mesh to texture it.": "Zum Texturieren ein einzelnes Bild auf einem Mesh ablegen.",
    "There is no image here. Choose PNG, JPEG, WebP, TIFF or EXR files.": (
        "Hier ist kein Bild. PNG-, JPEG-, WebP-, TIFF- oder EXR-Dateien wählen."
    ),
    "This job is no longer on this computer.": "Dieser Auftrag ist nicht mehr auf diesem Rechner.",
    "This result is no longer on this computer.": "Dieses Ergebnis ist nicht mehr auf diesem Rechner.",
    "Other images are being read. Try again in a moment.": (
        "Gerade werden andere Bilder gelesen. Gleich noch einmal versuchen."
    ),
    "This object is not here any more.": "Dieses Objekt ist nicht mehr da.",
    "Nothing was kept of this job.": "Von diesem Auftrag ist nichts übrig.",
    "Nothing was fetched: agree to the licences first.": (
        "Nichts wurde heruntergeladen: zuerst den Lizenzen zustimmen."
    ),
    "{name} cannot be opened. Choose another file.": "{name} lässt sich nicht öffnen. Eine andere Datei wählen.",
    "{name} cannot be read as a still image. Choose a PNG, JPEG, WebP, TIFF or EXR file.": (
        "{name} ist nicht als Standbild lesbar. Eine PNG-, JPEG-, WebP-, TIFF- oder EXR-Datei wählen."
    ),
    "The image of this result is no longer there. The panel keeps the one it has.": (
        "Das Bild dieses Ergebnisses ist nicht mehr da. Das Panel behält sein jetziges."
    ),
    "Its voxels are no longer on this computer. Generate the object again.": (
        "Seine Voxel sind nicht mehr auf diesem Rechner. Das Objekt neu erzeugen."
    ),
    "Some settings of this result are none that the panel has, and were left as they are.": (
        "Einige Werte dieses Ergebnisses kennt das Panel nicht; sie bleiben, wie sie sind."
    ),
    "The log cannot be read: {why}. Open it with Open Log.": (
        "Das Protokoll ist nicht lesbar: {why}. Es mit „Protokoll“ öffnen."
    ),
    "Only what was generated from an image that is still there can be varied.": (
        "Varianten gibt es nur von dem, was aus einem noch vorhandenen Bild erzeugt wurde."
    ),
    "The scene has no camera. Add one, or grab the viewport.": (
        "Die Szene hat keine Kamera. Eine hinzufügen oder das Ansichtsfenster aufnehmen."
    ),
    "The view could not be drawn. Try again in Solid mode, when nothing is being rendered.": (
        "Die Ansicht ließ sich nicht zeichnen. Im Solid-Modus noch einmal versuchen, wenn nichts gerendert wird."
    ),
    "There is no image in the clipboard. Copy a picture or an image file first.": (
        "In der Zwischenablage ist kein Bild. Zuerst ein Bild oder eine Bilddatei kopieren."
    ),
    "Something went wrong in the panel. Open the log, and report it.": (
        "Im Panel ging etwas schief. Das Protokoll öffnen und den Fehler melden."
    ),
    "There is no engine yet. Press Install Engine in the Espalier panel.": (
        "Es gibt noch keine Engine. Im Espalier-Panel „Engine installieren“ drücken."
    ),
    "There is no engine yet. Press Install Engine first.": (
        "Es gibt noch keine Engine. Zuerst „Engine installieren“ drücken."
    ),
    "Wait until what runs in the preferences is done.": "Warten, bis fertig ist, was in den Einstellungen läuft.",
    "“{name}” is in the queue. Cancel it first.": "„{name}“ ist in der Warteschlange. Zuerst dort abbrechen.",
}
