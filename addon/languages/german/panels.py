# SPDX-License-Identifier: GPL-3.0-or-later
"""What panels draw: headings, states, progress, notes."""

WORDS = {
    "From Image": "Aus Bild",
    "Finish Presets": "Voreinstellungen",
    "Advanced Presets": "Erweiterte Voreinstellungen",
    "Quality": "Qualität",
    "Coarse": "Grob",
    "{name} does not fit: it needs {needed:.1f} GB at once, and this card has {there:.1f} GB": (
        "{name} passt nicht: braucht {needed:.1f} GB auf einmal, und diese Karte hat {there:.1f} GB"
    ),
    "{name} does not fit: it needs {needed:.1f} GB at once, and this computer has {there:.1f} GB": (
        "{name} passt nicht: braucht {needed:.1f} GB auf einmal, und dieser Rechner hat {there:.1f} GB"
    ),
    "{there:.0f} GB card: its networks take turns in {takes:.1f} GB": (
        "Karte mit {there:.0f} GB: die Netzwerke wechseln sich in {takes:.1f} GB ab"
    ),
    "{there:.0f} GB card: it fits, in {takes:.1f} GB": "Karte mit {there:.0f} GB: passt, in {takes:.1f} GB",
    "{there:.0f} GB of memory: its networks take turns in {takes:.1f} GB": (
        "{there:.0f} GB Speicher: die Netzwerke wechseln sich in {takes:.1f} GB ab"
    ),
    "{there:.0f} GB of memory: it fits, in {takes:.1f} GB": "{there:.0f} GB Speicher: passt, in {takes:.1f} GB",
    "Texture {name}": "{name} texturieren",
    "Hide “{name}”": "„{name}“ verbergen",
    "Nothing that was made has other colours than this viewport shows": (
        "Nichts Erzeugtes hat andere Farben, als diese Ansicht zeigt"
    ),
    "Texture {count} Objects": "{count} Objekte texturieren",
    "Simple shapes. For photographs, use TRELLIS.2-4B.": "Einfache Formen. Für Fotos TRELLIS.2-4B verwenden.",
    "Photographs and detailed objects.": "Fotos und detailreiche Objekte.",
    "Its weights are not on this computer. The preferences download them, or import them from a folder.": (
        "Die Gewichte sind nicht auf diesem Rechner. In den Einstellungen lassen sie sich herunterladen oder aus einem "
        "Ordner importieren."
    ),
    "Use {name}": "{name} verwenden",
    "About {duration}, as before": "Etwa {duration}, wie zuvor",
    "About {duration}, {size:.1f} GB, as before": "Etwa {duration}, {size:.1f} GB, wie zuvor",
    # What is going on
    "There is no engine yet. It makes the objects on this computer: your images never leave it.": (
        "Es gibt noch keine Engine. Sie erzeugt die Objekte auf diesem Rechner: kein Bild verlässt ihn."
    ),
    "It is fetched once, for which Blender has to be allowed to go online.": (
        "Sie wird einmal heruntergeladen; dafür muss Blender online gehen dürfen."
    ),
    "Install Engine ({size})": "Engine installieren ({size})",
    "Install Engine (up to {size})": "Engine installieren (bis {size})",
    "Nothing waits": "Nichts wartet",
    "Not made on this computer yet": "Hier noch nicht erzeugt",
    "Memory: not known yet": "Speicher: noch nicht bekannt",
    "{device} · {used:.1f} GB, {free:.1f} free": "{device} · {used:.1f} GB, {free:.1f} frei",
    "{count} more images to be read": "Noch {count} zu lesende Bilder",
    "Cancel again to end the engine": "Noch einmal abbrechen beendet die Engine",
    "Cancelling": "Wird abgebrochen",
    "Starting the engine": "Engine startet",
    "Getting ready": "Bereitet sich vor",
    "{duration} left": "noch {duration}",
    "{name} is finished. {reason}.": "{name} ist fertig. {reason}.",
    "Another file was opened meanwhile": "Inzwischen wurde eine andere Datei geöffnet",
    "It is placed when the render is done": "Es wird platziert, wenn das Rendern fertig ist",
    "It is placed when you return to Object Mode": "Es wird im Objektmodus platziert",
    "It is placed when the tool is done": "Es wird platziert, wenn das Werkzeug fertig ist",
    "Place at 3D Cursor": "Am 3D-Cursor platzieren",
    "Apply to “{name}”": "Auf „{name}“ anwenden",
    # Stages
    "Preparing the image": "Bild vorbereiten",
    "Reading the image": "Bild lesen",
    "Reading the mesh": "Mesh lesen",
    "Structure": "Struktur",
    "Shape": "Form",
    "Material": "Material",
    "Surface": "Oberfläche",
    "Finishing": "Fertigstellen",
    # Finish
    "Finish": "Fertigstellen",
    "Maps": "Maps",
    "Advanced": "Erweitert",
    "Thickness is for Watertight": "Dicke gibt es nur bei „Wasserdicht“",
    "As Generated closes nothing, removes nothing and thickens nothing": (
        "„Wie erzeugt“ schließt, entfernt und verdickt nichts"
    ),
    "A draft keeps every face and has no maps. Finish Again turns it into a finished object": (
        "Ein Entwurf behält alle Flächen und hat keine Texturen. „Neu fertigstellen“ macht ein fertiges Objekt daraus"
    ),
    "A draft is not mended": "Ein Entwurf wird nicht repariert",
    "As Suggested": "Wie empfohlen",
    "repair as suggested": "Reparatur wie empfohlen",
    "draft": "Entwurf",
    "at most {faces:,} faces": "höchstens {faces:,} Flächen",
    "{share} of the faces": "{share} der Flächen",
    "{count} LODs": "{count} LODs",
    "Full": "Voll",
    "3D Print (watertight)": "3D-Druck (wasserdicht)",
    "Game (LODs)": "Spiel (LODs)",
    "Low-Poly (5000 faces)": "Low-Poly (5000 Flächen)",
    "Placement": "Platzierung",
    # Queue and results
    "Queue ({count})": "Warteschlange ({count})",
    "and {count} more": "und {count} weitere",
    "“{name}” was waiting when Blender was closed.": "„{name}“ wartete, als Blender geschlossen wurde.",
    "{count} jobs were waiting when Blender was closed.": ("{count} Aufträge warteten, als Blender geschlossen wurde."),
    "Results": "Ergebnisse",
    "Results ({count})": "Ergebnisse ({count})",
    "Nothing has been made yet": "Noch wurde nichts erzeugt",
    "Delete ({size})": "Löschen ({size})",
    "Seed {seed}, {model}": "Startwert {seed}, {model}",
    "In a scene": "In einer Szene",
    "Not in a scene yet": "Noch in keiner Szene",
    "Failed": "Fehlgeschlagen",
    "Cancelled": "Abgebrochen",
    "Interrupted": "Unterbrochen",
    "Results take {size}, more than the {limit} that the preferences allow.": (
        "Die Ergebnisse belegen {size}, mehr als die {limit}, die die Einstellungen erlauben."
    ),
    # Engine
    "Engine": "Engine",
    "Off": "Aus",
    "Ready": "Bereit",
    "Not running, holds no memory": "Läuft nicht, belegt keinen Speicher",
    "Processor": "Prozessor",
    "{used:.1f} GB used, {free:.1f} GB free (card)": "{used:.1f} GB belegt, {free:.1f} GB frei (Karte)",
    "{used:.1f} GB used, {free:.1f} GB free (computer)": "{used:.1f} GB belegt, {free:.1f} GB frei (Rechner)",
    "missing": "fehlt",
    # The preferences
    "There is no engine yet": "Es gibt noch keine Engine",
    "Stop When Idle (min)": "Beenden bei Leerlauf (min)",
    "Blender may go online: only the buttons here that say Download or Install do": (
        "Blender darf online gehen: nur die Knöpfe hier zum Herunterladen und Installieren tun es"
    ),
    "Blender may not go online, so nothing can be downloaded.": (
        "Blender darf nicht online gehen, daher lässt sich nichts herunterladen."
    ),
    "Models": "Modelle",
    "Looking for models": "Modelle werden gesucht",
    "Comes with Espalier": "Bringt Espalier mit",
    "Disk Space": "Speicherplatz",
    "Keep at Most (GB)": "Höchstens behalten (GB)",
    "{count} results, {size}": "{count} Ergebnisse, {size}",
    "Self-Test": "Selbsttest",
    "Looking at this computer": "Rechner wird geprüft",
    "System": "System",
    "Device": "Gerät",
    "Memory": "Speicher",
    "Packages": "Pakete",
    "Optional Packages": "Optionale Pakete",
    "Trial Run": "Probelauf",
    # Questions
    "Delete Result": "Ergebnis löschen",
    "“{name}”. Objects in scenes stay.": "„{name}“. Objekte in Szenen bleiben.",
    "Delete": "Löschen",
    "{count} results are deleted, {size} in all.": "{count} Ergebnisse werden gelöscht, zusammen {size}.",
    "Objects in scenes stay as they are.": "Objekte in Szenen bleiben, wie sie sind.",
    "Remove Model": "Modell entfernen",
    "Remove": "Entfernen",
}
