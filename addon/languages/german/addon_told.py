# SPDX-License-Identifier: GPL-3.0-or-later
"""Sentences that client and scene make: failures, notes, the progress of an installation."""

TOLD = {
    # The engine's process
    "The engine did not obey Cancel and was ended. The next Generate starts it again.": (
        "Die Engine brach nicht ab und wurde beendet. Das nächste Erzeugen startet sie wieder."
    ),
    "The engine was restarted while this job was running. Press Retry to run it again.": (
        "Die Engine wurde neu gestartet, während dieser Auftrag lief. „Wiederholen“ führt ihn noch einmal aus."
    ),
    "There is no engine yet. Press Install Engine in the Espalier panel.": (
        "Es gibt noch keine Engine. Im Espalier-Panel „Engine installieren“ drücken."
    ),
    "The engine's messages became unreadable, so it was ended.": (
        "Die Meldungen der Engine wurden unlesbar, daher wurde sie beendet."
    ),
    "The engine belongs to another version of Espalier. Restart Blender, then try again.": (
        "Die Engine gehört zu einer anderen Version von Espalier. Blender neu starten und noch einmal versuchen."
    ),
    "The engine has not answered for {0} seconds. Wait, or restart it.": (
        "Die Engine antwortet seit {0} Sekunden nicht. Warten oder sie neu starten."
    ),
    "The engine stopped before it was ready. Press Install Engine to repair it, or open its log.": (
        "Die Engine endete, bevor sie bereit war. Mit „Engine installieren“ reparieren oder das Protokoll öffnen."
    ),
    "The engine ended while this job was running. Press Retry to run it again.": (
        "Die Engine endete, während dieser Auftrag lief. „Wiederholen“ führt ihn noch einmal aus."
    ),
    "The engine was killed, perhaps for want of memory. Press Retry to run this job again.": (
        "Die Engine wurde gewaltsam beendet, vielleicht aus Speichermangel. „Wiederholen“ führt den Auftrag neu aus."
    ),
    "The engine crashed while this job was running. Press Retry to run it again.": (
        "Die Engine stürzte ab, während dieser Auftrag lief. „Wiederholen“ führt ihn noch einmal aus."
    ),
    "The engine stopped by itself. Open the log to see why.": (
        "Die Engine endete von selbst. Warum, steht im Protokoll."
    ),
    "Blender stopped the engine while this job was running.": (
        "Blender beendete die Engine, während dieser Auftrag lief."
    ),
    "It did not say why.": "Sie sagte nicht, warum.",
    "Ended by {0}.": "Beendet durch {0}.",
    "Ended by signal {0}.": "Beendet durch Signal {0}.",
    "Exit status {0}.": "Endstatus {0}.",
    "The engine's Python {0} is not there. Correct it in the preferences, or clear the field.": (
        "Das Python der Engine, {0}, ist nicht da. In den Einstellungen berichtigen oder das Feld leeren."
    ),
    "The engine's Python {0} cannot be started. Choose another one, or press Install Engine.": (
        "Das Python der Engine, {0}, lässt sich nicht starten. Ein anderes wählen oder „Engine installieren“ drücken."
    ),
    # Files and folders
    "The disk that holds {0} is full. Free some space, or choose another folder.": (
        "Der Datenträger mit {0} ist voll. Platz schaffen oder einen anderen Ordner wählen."
    ),
    "Espalier may not write in {0}. Allow it, or choose another folder.": (
        "Espalier darf in {0} nicht schreiben. Es erlauben oder einen anderen Ordner wählen."
    ),
    "The folder {0} cannot be used: {1}. Choose another one.": (
        "Der Ordner {0} ist nicht benutzbar: {1}. Einen anderen wählen."
    ),
    "The job failed.": "Der Auftrag ist fehlgeschlagen.",
    "{0} is not a job of {1}; nothing was deleted.": "{0} ist kein Auftrag aus {1}; nichts wurde gelöscht.",
    "The image {0} does not exist. Choose another one.": "Das Bild {0} gibt es nicht. Ein anderes wählen.",
    "{0} is a folder, not an image. Choose an image file.": "{0} ist ein Ordner, kein Bild. Eine Bilddatei wählen.",
    "The image {0} cannot be read: {1}. Choose another one.": (
        "Das Bild {0} ist nicht lesbar: {1}. Ein anderes wählen."
    ),
    "Another Blender works on “{0}”. Cancel it there first.": (
        "Ein anderes Blender arbeitet an „{0}“. Zuerst dort abbrechen."
    ),
    "The job folder {0} is damaged.": "Der Auftragsordner {0} ist beschädigt.",
    # Install Engine
    "Preparing": "Vorbereiten",
    "Making the environment": "Umgebung anlegen",
    "Downloading": "Herunterladen",
    "Downloading {0} of {1} MB": "{0} von {1} MB geladen",
    "Unpacking": "Entpacken",
    "Checking": "Prüfen",
    "Making a first object": "Ein erstes Objekt wird gemacht",
    "Installed": "Installiert",
    "Install the engine again; what was downloaded is kept.": (
        "Die Engine noch einmal installieren; was heruntergeladen wurde, bleibt erhalten."
    ),
    "The environment could not be made. {0}": "Die Umgebung ließ sich nicht anlegen. {0:told}",
    "The new engine does not run. {0}": "Die neue Engine läuft nicht. {0:told}",
    "There is no engine for {0} yet.": "Für {0} gibt es noch keine Engine.",
    "No Python that can make the engine was found. Install Python {0}, then try again.": (
        "Kein Python gefunden, das die Engine anlegen kann. Python {0} installieren und noch einmal versuchen."
    ),
    "Blender's own Python is {0}.": "Blenders eigenes Python ist {0}.",
    "The old engine is in use. Close other Blenders, then install the engine again.": (
        "Die alte Engine ist in Gebrauch. Andere Blender schließen und die Engine noch einmal installieren."
    ),
    "Another Blender is installing the engine. Wait until it is done.": (
        "Ein anderes Blender installiert die Engine. Warten, bis es fertig ist."
    ),
    "The engine needs {0} GB in {1}, where {2} GB are free.": (
        "Die Engine braucht {0} GB in {1}, wo {2} GB frei sind."
    ),
    "{0} Free some space, or choose another data folder.": (
        "{0:told} Platz schaffen oder einen anderen Datenordner wählen."
    ),
    "A package is not the one that Espalier was made with, and was refused. Try again later.": (
        "Ein Paket ist nicht das, mit dem Espalier gemacht wurde, und wurde abgelehnt. Später noch einmal versuchen."
    ),
    "The disk that holds {0} is full. Free some space, then install the engine again.": (
        "Der Datenträger mit {0} ist voll. Platz schaffen und die Engine noch einmal installieren."
    ),
    "Espalier may not write in {0}. Allow it, then try again.": (
        "Espalier darf in {0} nicht schreiben. Es erlauben und noch einmal versuchen."
    ),
    "The package lacks a part of the engine for this Python. Download the package again.": (
        "Dem Paket fehlt ein Teil der Engine für dieses Python. Das Paket noch einmal herunterladen."
    ),
    "By this computer's clock a certificate of the download is not valid. Set date and time. {0}": (
        "Nach der Uhr dieses Rechners gilt ein Zertifikat des Downloads nicht. Datum und Uhrzeit stellen. {0:told}"
    ),
    "The engine could not be downloaded. Check the connection. {0}": (
        "Die Engine ließ sich nicht herunterladen. Die Verbindung prüfen. {0:told}"
    ),
    "The engine's packages could not be installed. {0}": (
        "Die Pakete der Engine ließen sich nicht installieren. {0:told}"
    ),
    # Images
    "The file of the image “{0}” is missing: {1}. Open it again from where it is now.": (
        "Die Datei des Bildes „{0}“ fehlt: {1}. Das Bild von dort öffnen, wo es jetzt liegt."
    ),
    "“{0}” cannot be opened: {1}": "„{0}“ lässt sich nicht öffnen: {1}",
    "“{0}” is not an image that Blender can read. Choose a PNG, JPEG, WebP, TIFF or EXR file.": (
        "„{0}“ ist kein Bild, das Blender lesen kann. Eine PNG-, JPEG-, WebP-, TIFF- oder EXR-Datei wählen."
    ),
    "“{0}” has {1} × {2} pixels, too many to convert. Scale it to 8000 a side or less.": (
        "„{0}“ hat {1} × {2} Pixel, zu viele zum Umwandeln. Auf höchstens 8000 je Seite verkleinern."
    ),
    "“{0}” is not stored as an image yet: save it from the Image menu, then open the saved file.": (
        "„{0}“ ist noch nicht als Bild gespeichert: über das Menü „Bild“ speichern und die Datei öffnen."
    ),
    "“{0}” is {1}. Choose a still image.": "„{0}“ ist {1:told}. Ein Standbild wählen.",
    "a movie": "ein Film",
    "an image sequence": "eine Bildsequenz",
    "a set of UDIM tiles": "ein Satz UDIM-Kacheln",
    "no still image": "kein Standbild",
    # Objects to texture
    "“{0}” is no mesh: convert it with Object > Convert > Mesh first.": (
        "„{0}“ ist kein Mesh: zuerst mit Objekt > Konvertieren > Mesh umwandeln."
    ),
    "“{0}” is linked from another file and cannot be changed here: make it local with Object > Relations > Make "
    "Local, or texture a copy.": (
        "„{0}“ ist aus einer anderen Datei verknüpft und hier nicht änderbar: mit Objekt > Beziehungen > Lokal machen "
        "lösen oder eine Kopie texturieren."
    ),
    "The mesh of “{0}” is a library override, which keeps no new texture: make it local with Object > Relations > "
    "Make Local, or texture a copy.": (
        "Das Mesh von „{0}“ ist eine Überschreibung und behält keine neue Textur: mit Objekt > Beziehungen > "
        "Lokal machen lösen oder eine Kopie texturieren."
    ),
    "“{0}” is being edited: return to Object Mode first.": (
        "„{0}“ wird gerade bearbeitet: zuerst in den Objektmodus wechseln."
    ),
    "“{0}” is an empty mesh: there is nothing to texture.": "„{0}“ ist ein leeres Mesh: es gibt nichts zu texturieren.",
    "“{0}” has no faces: there is nothing to texture.": "„{0}“ hat keine Flächen: es gibt nichts zu texturieren.",
    "“{0}” has vertices that are no numbers: repair the mesh or its modifiers first.": (
        "„{0}“ hat Vertices, die keine Zahlen sind: zuerst das Mesh oder seine Modifikatoren reparieren."
    ),
    "The modifiers of “{0}” make faces without UVs: apply these first (Object > Apply).": (
        "Die Modifikatoren von „{0}“ machen Flächen ohne UVs: sie zuerst anwenden (Objekt > Anwenden)."
    ),
    "The faces of “{0}” are made by its modifiers: apply these first (Object > Apply).": (
        "Die Flächen von „{0}“ stammen von seinen Modifikatoren: sie zuerst anwenden (Objekt > Anwenden)."
    ),
    "The modifiers of “{0}” move its UVs by a part of a tile: set their UV offsets to 0.": (
        "Die Modifikatoren von „{0}“ verschieben seine UVs um einen Teil einer Kachel: deren UV-Versatz auf 0 setzen."
    ),
    "“{0}” has {1} UV layers, and no more are possible: remove one that is not needed.": (
        "„{0}“ hat {1} UV-Maps, mehr gehen nicht: eine nicht benötigte entfernen."
    ),
    "“{0}” has {1} UV layers, and no more are possible: remove one, then try again.": (
        "„{0}“ hat {1} UV-Maps, mehr gehen nicht: eine entfernen und noch einmal versuchen."
    ),
    "“{0}” has no size: check its scale in Object > Transform.": (
        "„{0}“ hat keine Größe: die Skalierung unter Objekt > Transformieren prüfen."
    ),
    "“{0}” {1}.": "„{0}“ {1:told}.",
    "has damaged faces: clean it with Mesh > Clean Up > Merge by Distance": (
        "hat beschädigte Flächen: mit Mesh > Aufräumen > Zusammenführen nach Entfernung bereinigen"
    ),
    "could not be unwrapped, its UVs would {0}: unwrap it by hand": (
        "ließ sich nicht abwickeln, denn die UVs {0:told}: von Hand abwickeln"
    ),
    "be missing": "fehlen",
    "have values that are no numbers": "haben Werte, die keine Zahlen sind",
    "leave the unit square": "verlassen das Einheitsquadrat",
    "leave faces out": "lassen Flächen aus",
    "take up almost no space": "nehmen fast keinen Platz ein",
    "overlap": "überlappen sich",
    "vanish": "verschwinden",
    "The faces or UVs of “{0}” were changed while its texture was made, so it no longer fits. Texture it again.": (
        "Flächen oder UVs von „{0}“ änderten sich, während die Textur entstand; sie passt nicht mehr. Neu texturieren."
    ),
    "“{0}” is not in this file, and no selected mesh has the faces and UVs that its texture was made for. "
    "Select one that has, or texture an object again.": (
        "„{0}“ ist nicht in dieser Datei, und kein ausgewähltes Mesh hat die Flächen und UVs, für die die Textur "
        "gemacht wurde. Eines auswählen, das sie hat, oder ein Objekt neu texturieren."
    ),
    "The faces or UVs of “{0}” have changed since its texture was made, and no selected mesh has those of then. "
    "Select one that has, or texture the object again.": (
        "Flächen oder UVs von „{0}“ haben sich geändert, seit die Textur gemacht wurde, und kein ausgewähltes Mesh hat "
        "die von damals. Eines auswählen, das sie hat, oder das Objekt neu texturieren."
    ),
    # Notes on what was textured or replaced
    "It had no UVs: they are in the new UV layer “{0}”.": "Es hatte keine UVs: sie sind in der neuen UV-Map „{0}“.",
    "Its UVs {0}, so the texture uses the new UV layer “{1}”.": (
        "Seine UVs {0:told}, daher nutzt die Textur die neue UV-Map „{1}“."
    ),
    "What its modifiers copy is painted once and looks the same on every copy.": (
        "Was seine Modifikatoren kopieren, ist einmal bemalt und sieht auf jeder Kopie gleich aus."
    ),
    "Some faces that its modifiers make have no UVs of their own, and show one colour.": (
        "Manche Flächen von seinen Modifikatoren haben keine eigenen UVs und zeigen eine einzige Farbe."
    ),
    "Its modifiers give {0} another material (as the Set Material node does), which hides the texture there: remove "
    "that node or modifier, or choose the new material in it.": (
        "Seine Modifikatoren geben {0:told} ein anderes Material (wie der Knoten „Set Material“), das die Textur dort "
        "verdeckt: Knoten oder Modifikator entfernen oder darin das neue Material wählen."
    ),
    "some of its faces": "manchen Flächen",
    "its faces": "den Flächen",
    "No object shows {0} any more: kept in the file with a fake user.": (
        "Kein Objekt zeigt mehr {0}: bleibt mit einem Fake-User in der Datei."
    ),
    "It is a copy of “{0}”, which is hidden in its place.": (
        "Es ist eine Kopie von „{0}“, das an seiner Stelle ausgeblendet ist."
    ),
    "Its shape keys belonged to the old mesh and are gone.": (
        "Seine Formschlüssel gehörten zum alten Mesh und sind weg."
    ),
    "{0} more {1} its mesh and changed with it.": "{0} {1:told} sein Mesh und änderten sich mit.",
    "object shares": "weiteres Objekt teilt",
    "objects share": "weitere Objekte teilen",
    # Results that cannot be built from
    "The result's alpha mode {0} is unknown to this version of Espalier.": (
        "Den Alpha-Modus {0} des Ergebnisses kennt diese Version von Espalier nicht."
    ),
    "The result's vertices and faces are not lists of three numbers each.": (
        "Vertices und Flächen des Ergebnisses sind keine Listen von je drei Zahlen."
    ),
    "The result has no faces: the model made nothing of this image. Try another seed or image.": (
        "Das Ergebnis hat keine Flächen: das Modell fand nichts in diesem Bild. Anderen Startwert oder anderes Bild "
        "versuchen."
    ),
    "The result's faces name vertices that do not exist: its files are damaged.": (
        "Die Flächen des Ergebnisses nennen Vertices, die es nicht gibt: seine Dateien sind beschädigt."
    ),
    "The result has vertices that are no numbers: its files are damaged.": (
        "Das Ergebnis hat Vertices, die keine Zahlen sind: seine Dateien sind beschädigt."
    ),
    "The result's texture coordinates do not fit its faces: its files are damaged.": (
        "Die Texturkoordinaten des Ergebnisses passen nicht zu seinen Flächen: seine Dateien sind beschädigt."
    ),
    "The result's normals fit neither its vertices nor its corners: its files are damaged.": (
        "Die Normalen des Ergebnisses passen weder zu Vertices noch zu Ecken: seine Dateien sind beschädigt."
    ),
    "The result's materials do not fit its vertices: its files are damaged.": (
        "Die Materialien des Ergebnisses passen nicht zu seinen Vertices: seine Dateien sind beschädigt."
    ),
    "The result is incomplete: {0} is missing in {1}.": "Das Ergebnis ist unvollständig: {0} fehlt in {1}.",
    "The result in {0} cannot be read: {1}.": "Das Ergebnis in {0} ist nicht lesbar: {1}.",
    "The result names a file outside its folder: {0}.": "Das Ergebnis nennt eine Datei außerhalb seines Ordners: {0}.",
    "The texture {0} of the result is not a PNG file.": "Die Textur {0} des Ergebnisses ist keine PNG-Datei.",
    "The result in {0} does not say what it was made for: its files are damaged.": (
        "Das Ergebnis in {0} sagt nicht, wofür es gemacht wurde: seine Dateien sind beschädigt."
    ),
    "The UVs that were made for the texture cannot be read in {0}: {1}.": (
        "Die für die Textur gemachten UVs in {0} sind nicht lesbar: {1}."
    ),
    "The UVs in {0} do not fit the mesh: the job's files are damaged.": (
        "Die UVs in {0} passen nicht zum Mesh: die Dateien des Auftrags sind beschädigt."
    ),
}
