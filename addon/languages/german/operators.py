# SPDX-License-Identifier: GPL-3.0-or-later
"""Labels and descriptions of operators, and of the buttons that show them."""

OPERATORS = {
    "Add Advanced Preset": "Erweiterte Voreinstellung hinzufügen",
    "Add Finish Preset": "Voreinstellung hinzufügen",
    "Allow Online Access": "Online-Zugriff erlauben",
    "Apply Texture": "Textur anwenden",
    "Camera": "Kamera",
    "Cancel": "Abbrechen",
    "Clear Waiting": "Leeren",
    "Copy Report": "Bericht kopieren",
    "Delete Oldest": "Älteste löschen",
    "Delete Result": "Ergebnis löschen",
    "Discard": "Verwerfen",
    "Discard Earlier Jobs": "Frühere Aufträge verwerfen",
    "Download": "Herunterladen",
    "Earlier Jobs": "Frühere Aufträge",
    "Espalier Preferences": "Einstellungen von Espalier",
    "Finish Again": "Neu fertigstellen",
    "Free Memory": "Speicher freigeben",
    "From Image...": "Aus Bild ...",
    "Generate": "Erzeugen",
    "Generate 3D from Image": "3D aus Bild erzeugen",
    "Generate from Image": "Aus Bild erzeugen",
    "Go On": "Fortsetzen",
    "Grab View": "Ansicht aufnehmen",
    "Images as 3D Objects": "Bilder als 3D-Objekte",
    "Import from Folder": "Aus Ordner importieren",
    "Install Again": "Neu installieren",
    "Install Engine": "Engine installieren",
    "Keep What There Is": "Bisheriges behalten",
    "Look for Models": "Modelle suchen",
    "Move": "Verschieben",
    "Not Now": "Jetzt nicht",
    "Open Image": "Bild öffnen",
    "Open Log": "Protokoll",
    "Dismiss": "Ausblenden",
    "Paste Image": "Bild einfügen",
    "Pause": "Anhalten",
    "Place": "Platzieren",
    "Preferences": "Einstellungen",
    "Remove": "Entfernen",
    "Remove Model": "Modell entfernen",
    "Restart Engine": "Engine neu starten",
    "Retry": "Wiederholen",
    "Another Image": "Anderes Bild",
    "Another Seed": "Neu würfeln",
    "Run": "Ausführen",
    "Run Self-Test": "Selbsttest starten",
    "Show Folder": "Ordner zeigen",
    "Show Textures": "Texturen zeigen",
    "Show Colours": "Farben zeigen",
    "Hide Object": "Objekt verbergen",
    "Stop Engine": "Engine beenden",
    "Take Its Settings": "Dessen Werte übernehmen",
    "Texture": "Texturieren",
    "Texture Mesh from Image": "Mesh aus Bild texturieren",
    "Texture from Image": "Aus Bild texturieren",
    "Texture from Image...": "Aus Bild texturieren ...",
    "Use Settings": "Übernehmen",
    "Use This Image": "Dieses Bild verwenden",
    "Variants": "Varianten",
    "View": "Ansicht",
}

WORDS = {
    "Generate 3D from Image": "3D aus Bild erzeugen",
    "Texture Mesh from Image": "Mesh aus Bild texturieren",
    "Keep these settings under a name, or remove such a name": (
        "Diese Werte unter einem Namen aufbewahren oder einen solchen Namen entfernen"
    ),
    "Put the finished texture on its object or a copy of it, as a new material in all its slots": (
        "Die fertige Textur auf ihr Objekt oder eine Kopie davon legen, als neues Material in allen seinen Slots"
    ),
    "Show the colours of what was made in this viewport, where Solid view gives it their mean": (
        "In dieser Ansicht die Farben des Erzeugten zeigen, wo „Solide“ ihm deren Mittel gibt"
    ),
    "Hide the object in which the new one stands. Alt H shows hidden objects again": (
        "Das Objekt verbergen, in dem das neue steht. Alt H zeigt Verborgenes wieder"
    ),
    "Put the finished object into the scene at the 3D cursor": "Das fertige Objekt am 3D-Cursor in die Szene setzen",
    "Stop making this object. Pressed again after five seconds, it ends the engine too": (
        "Dieses Objekt nicht weiter erzeugen. Nach fünf Sekunden noch einmal gedrückt, beendet es auch die Engine"
    ),
    "Stop the installation. What was downloaded is kept": (
        "Die Installation abbrechen. Was heruntergeladen wurde, bleibt erhalten"
    ),
    "Stop this. What was downloaded is kept": "Abbrechen. Was heruntergeladen wurde, bleibt erhalten",
    "Copy versions, machine, messages and the end of the log, to paste into a bug report": (
        "Versionen, Rechner, Meldungen und das Ende des Protokolls kopieren, für einen Fehlerbericht"
    ),
    "Delete the oldest results until the rest takes no more room than the preferences allow": (
        "Die ältesten Ergebnisse löschen, bis der Rest nicht mehr Platz braucht, als die Einstellungen erlauben"
    ),
    "Delete this job's files. Objects in scenes stay as they are, but can no longer be finished again": (
        "Die Dateien dieses Auftrags löschen. Objekte in Szenen bleiben, wie sie sind, lassen sich aber nicht mehr neu "
        "fertigstellen"
    ),
    "Fetch this model, after showing its licence. A download that was cut goes on where it stopped": (
        "Dieses Modell herunterladen; vorher wird die Lizenz gezeigt. Ein unterbrochener Download geht da "
        "weiter, wo er aufhörte"
    ),
    "Make mesh and maps of the active object anew with these settings, without generating it again. It keeps its "
    "place, size and modifiers; changes that were made to its mesh are replaced": (
        "Mesh und Texturen des aktiven Objekts mit diesen Werten neu machen, ohne es neu zu erzeugen. Ort, Größe und "
        "Modifikatoren bleiben; Änderungen am Mesh werden ersetzt"
    ),
    "Let the engine drop its models, so that rendering can use the memory. The next job loads them again": (
        "Die Engine gibt ihre Modelle frei, damit das Rendern den Speicher nutzen kann. Der nächste Auftrag lädt sie "
        "wieder"
    ),
    "Make an object of each image; without a choice of files, of every image in the folder": (
        "Aus jedem Bild ein Objekt erzeugen; ohne Auswahl von Dateien aus jedem Bild des Ordners"
    ),
    "Make a 3D object of the image. Blender stays usable meanwhile; the object appears at the 3D cursor": (
        "Aus dem Bild ein 3D-Objekt erzeugen. Blender bleibt dabei benutzbar; das Objekt erscheint am 3D-Cursor"
    ),
    "Take what the viewport shows, without overlays and background": (
        "Aufnehmen, was das Ansichtsfenster zeigt, ohne Überlagerungen und Hintergrund"
    ),
    "Take what the scene's camera sees, without background": (
        "Aufnehmen, was die Kamera der Szene sieht, ohne Hintergrund"
    ),
    "Take models from a folder that was copied here, and check every file": (
        "Modelle aus einem hierher kopierten Ordner übernehmen und jede Datei prüfen"
    ),
    "Download what makes the objects into the data folder, apart from Blender and other extensions": (
        "Was die Objekte erzeugt, in den Datenordner herunterladen, getrennt von Blender und anderen Erweiterungen"
    ),
    "Put what the cancelled job had so far into the scene as a light mesh, where it was shown": (
        "Was der abgebrochene Auftrag bisher hatte, als leichtes Mesh in die Szene setzen, wo es zu sehen war"
    ),
    "See which models are on this computer": "Nachsehen, welche Modelle auf diesem Rechner sind",
    "Open a picture of one object from a file": "Ein Bild eines einzelnen Objekts aus einer Datei öffnen",
    "Open what the engine wrote down, with the technical cause of a failure": (
        "Öffnen, was die Engine aufgezeichnet hat, mit der technischen Ursache eines Fehlers"
    ),
    "Take these messages out of the panel. Jobs and results stay as they are": (
        "Diese Meldungen aus dem Panel nehmen. Aufträge und Ergebnisse bleiben, wie sie sind"
    ),
    "Show the preferences of Espalier: engine, data folder, models": (
        "Die Einstellungen von Espalier zeigen: Engine, Datenordner, Modelle"
    ),
    "Take the image in the clipboard, or the image file whose path is there": (
        "Das Bild aus der Zwischenablage nehmen, oder die Bilddatei, deren Pfad dort steht"
    ),
    "Put the object into the scene, at the 3D cursor": "Das Objekt am 3D-Cursor in die Szene setzen",
    "Put the texture on the object that it was made for, or on a selected mesh with the same faces and UVs": (
        "Die Textur auf das Objekt legen, für das sie gemacht wurde, oder auf ein ausgewähltes Mesh mit denselben "
        "Flächen und UVs"
    ),
    "Cancel every job that has not begun": "Alle Aufträge abbrechen, die noch nicht begonnen haben",
    "Run the jobs that were waiting when Blender was closed; their objects appear from the 3D cursor on": (
        "Die Aufträge ausführen, die beim Schließen von Blender warteten; ihre Objekte erscheinen ab dem 3D-Cursor"
    ),
    "Cancel the jobs that were waiting when Blender was closed": (
        "Die Aufträge abbrechen, die beim Schließen von Blender warteten"
    ),
    "Let the job that runs end and begin no other, or go on": (
        "Den laufenden Auftrag beenden lassen und keinen weiteren beginnen, oder fortsetzen"
    ),
    "Let this job run sooner or later": "Diesen Auftrag früher oder später ausführen",
    "Cancel this job before it begins": "Diesen Auftrag abbrechen, bevor er beginnt",
    "Put the image, seed and settings of this result into the panel": (
        "Bild, Startwert und Werte dieses Ergebnisses in das Panel übernehmen"
    ),
    "Delete the files of this model from the data folder": "Die Dateien dieses Modells aus dem Datenordner löschen",
    "Put the new mesh and maps on the object that they were made for": (
        "Mesh und Texturen auf das Objekt legen, für das sie gemacht wurden"
    ),
    "End an engine that does not answer and start a new one": (
        "Eine Engine, die nicht antwortet, beenden und eine neue starten"
    ),
    "Run the failed job again, with the same image, seed and settings": (
        "Den fehlgeschlagenen Auftrag noch einmal ausführen, mit demselben Bild, Startwert und denselben Werten"
    ),
    "Let the engine look at this computer, its packages and models, and make a small object": (
        "Die Engine diesen Rechner, ihre Pakete und Modelle prüfen und ein kleines Objekt erzeugen lassen"
    ),
    "Open the folder with everything this job made": "Den Ordner mit allem öffnen, was dieser Auftrag gemacht hat",
    "End the engine and what it is doing. The next Generate starts it again": (
        "Die Engine beenden, und was sie gerade tut. Das nächste Erzeugen startet sie wieder"
    ),
    "Set everything under Finish to what the active object was made with": (
        "Alles unter „Fertigstellen“ auf das setzen, womit das aktive Objekt gemacht wurde"
    ),
    "Paint the selected mesh objects after the image, or copies of them. Shape, UVs and name stay; a new material "
    "takes their slots": (
        "Die ausgewählten Mesh-Objekte oder Kopien davon nach dem Bild bemalen. Form, UVs und Name bleiben; ein neues "
        "Material kommt in ihre Slots"
    ),
    "Paint the mesh under the pointer, or else the selected ones, after the image": (
        "Das Mesh unter dem Mauszeiger nach dem Bild bemalen, sonst die ausgewählten"
    ),
    "Do not put this result into the open file. It stays in the list of results": (
        "Dieses Ergebnis nicht in die offene Datei setzen. Es bleibt in der Liste der Ergebnisse"
    ),
    "Make the image of this editor the input": "Das Bild dieses Editors als Eingabe nehmen",
    "Make mesh and maps of this result anew with the settings under Finish, as another object beside the one that "
    "stands in the scene": (
        "Mesh und Texturen dieses Ergebnisses mit den Werten unter „Fertigstellen“ neu machen, als weiteres Objekt "
        "neben dem, das in der Szene steht"
    ),
    "Make more objects of the same image with the same settings and other seeds": (
        "Weitere Objekte aus demselben Bild erzeugen, mit denselben Werten und anderen Startwerten"
    ),
    "How many objects are made": "Wie viele Objekte erzeugt werden",
    "I agree to these licences": "Ich stimme diesen Lizenzen zu",
    "Without it nothing is fetched": "Ohne Zustimmung wird nichts heruntergeladen",
}
