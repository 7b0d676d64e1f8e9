# SPDX-License-Identifier: GPL-3.0-or-later
"""Names and descriptions of settings, in the panel and in the preferences."""

# Under "Espalier", the context of words that mean something else in Blender's own dictionary, or are too long there.
OWN = {
    "Mode": "Modus",
    "What is made from the image": "Was aus dem Bild gemacht wird",
    "Generate": "Erzeugen",
    "Make a new object from the image": "Ein neues Objekt aus dem Bild erzeugen",
    "Texture": "Texturieren",
    "Paint the selected objects after the image; their shape and UVs stay as they are": (
        "Die ausgewählten Objekte nach dem Bild bemalen; Form und UVs bleiben, wie sie sind"
    ),
    "The Object": "Das Objekt",
    "A Copy": "Eine Kopie",
    "Whether the object itself or a copy of it gets the texture": (
        "Ob das Objekt selbst oder eine Kopie davon die Textur bekommt"
    ),
    "The object itself gets the texture; shape, UVs and name stay as they are": (
        "Das Objekt selbst bekommt die Textur; Form, UVs und Name bleiben, wie sie sind"
    ),
    "A copy takes the place of the object, which stays as it is and is hidden. Also for linked objects": (
        "Eine Kopie tritt an die Stelle des Objekts, das unverändert bleibt und ausgeblendet wird. Auch für verknüpfte "
        "Objekte"
    ),
    "Paste": "Ablage",
    "Repair": "Reparatur",
    "How the surface is mended": "Wie die Oberfläche repariert wird",
    "As Suggested": "Wie empfohlen",
    "As the model suggests: what suits its surfaces best": (
        "Wie das Modell empfiehlt: was zu seinen Oberflächen am besten passt"
    ),
    "As Generated": "Wie erzeugt",
    "Nothing is closed and nothing is removed": "Nichts wird geschlossen und nichts entfernt",
    "Clean": "Aufgeräumt",
    "Close small holes and remove crumbs; what is open by its nature stays open": (
        "Kleine Löcher schließen und Krümel entfernen; was von Natur aus offen ist, bleibt offen"
    ),
    "Watertight": "Wasserdicht",
    "The closed outer skin of the object, for printing and booleans": (
        "Die geschlossene Außenhaut des Objekts, zum Drucken und für boolesche Operationen"
    ),
    "Place": "Ort",
    "Where in the scene the object stands": "Wo in der Szene das Objekt steht",
    "3D Cursor": "3D-Cursor",
    "With the centre of its base at the 3D cursor": "Mit der Mitte seiner Standfläche am 3D-Cursor",
    "Below the Cursor": "Unter dem Cursor",
    "On the ground, at the height zero, where the 3D cursor is above or below": (
        "Auf dem Boden, in der Höhe null, wo der 3D-Cursor darüber oder darunter ist"
    ),
    "World Origin": "Weltursprung",
    "At the middle of the world": "In der Mitte der Welt",
    "Tags": "Schlagwörter",
    "Tags of the asset, with commas between them. They count while Mark as Asset is on": (
        "Schlagwörter des Assets, mit Kommas dazwischen. Sie gelten, solange „Als Asset markieren“ an ist"
    ),
    "Quality": "Qualität",
    "How fine the object is made": "Wie fein das Objekt erzeugt wird",
    "Draft": "Entwurf",
    "Grid of 512: the quickest look at a shape": "Raster von 512: der schnellste Blick auf eine Form",
    "Standard": "Standard",
    "Grid of 1024 in two steps": "Raster von 1024 in zwei Schritten",
    "Fine": "Fein",
    "Grid of 1536 in two steps: the most detail, time and memory": (
        "Raster von 1536 in zwei Schritten: am meisten Detail, Zeit und Speicher"
    ),
    "Faces": "Flächen",
    "How many faces the mesh gets": "Wie viele Flächen das Mesh bekommt",
    "Automatic": "Automatisch",
    "As many as the voxels carry and a viewport likes": (
        "So viele, wie die Voxel hergeben und ein Ansichtsfenster verträgt"
    ),
    "Number": "Anzahl",
    "At most a number of faces of your choice": "Höchstens die gewählte Anzahl von Flächen",
    "Number of Faces": "Anzahl der Flächen",
    "The mesh gets at most this many triangles": "Das Mesh bekommt höchstens so viele Dreiecke",
    "Share": "Anteil",
    "A share of the faces that the mended surface has; at 100 % all of them": (
        "Ein Anteil der Flächen der reparierten Oberfläche; bei 100 % alle"
    ),
}

WORDS = {
    # The panel
    "Image": "Bild",
    "The picture of the object to make: one object, seen whole, on a plain or transparent background": (
        "Das Bild des gewünschten Objekts: ein einziges, ganz zu sehen, vor einfarbigem oder transparentem Hintergrund"
    ),
    "Background": "Hintergrund",
    "How the subject of the image is told from its background": (
        "Wie das Motiv des Bildes von seinem Hintergrund unterschieden wird"
    ),
    "Automatic": "Automatisch",
    "The image's own transparency where it has any, else BiRefNet where it is on this computer, else a plain "
    "background is removed by its colour": (
        "Die Transparenz des Bildes, wo es welche hat, sonst BiRefNet, wo es auf diesem Rechner ist, sonst wird ein "
        "einfarbiger Hintergrund nach seiner Farbe entfernt"
    ),
    "Use Transparency": "Transparenz nutzen",
    "Only what is transparent in the image is background; an opaque image is refused": (
        "Nur was im Bild transparent ist, ist Hintergrund; ein deckendes Bild wird abgelehnt"
    ),
    "A network finds the subject before any background. It has to be on this computer": (
        "Ein Netzwerk findet das Motiv vor jedem Hintergrund. Es muss auf diesem Rechner sein"
    ),
    "Plain Background": "Einfarbiger Hintergrund",
    "One smooth colour around the subject, or a studio gradient, is removed": (
        "Eine gleichmäßige Farbe um das Motiv oder ein Studioverlauf wird entfernt"
    ),
    "Keep the Whole Image": "Ganzes Bild behalten",
    "Nothing is removed: everything in the image is part of the object": (
        "Nichts wird entfernt: alles im Bild gehört zum Objekt"
    ),
    "Model": "Modell",
    "What turns the image into an object": "Was aus dem Bild ein Objekt macht",
    "Starter": "Einstieg",
    "The small model that comes with Espalier: simple shapes on a grid of 64, within a minute on any computer": (
        "Das kleine Modell, das Espalier mitbringt: einfache Formen auf einem Raster von 64, auf jedem Rechner in "
        "einer Minute"
    ),
    "The published model, for photographs and detail. Needs its weights and a graphics card": (
        "Das veröffentlichte Modell, für Fotos und Details. Braucht seine Gewichte und eine Grafikkarte"
    ),
    "Seed": "Startwert",
    "Another seed makes another object of the same image; the same seed makes the same object": (
        "Ein anderer Startwert ergibt aus demselben Bild ein anderes Objekt; derselbe ergibt dasselbe"
    ),
    "Lock Seed": "Startwert festhalten",
    "Keep this seed. When open, every Generate draws a new one and shows it here": (
        "Diesen Startwert behalten. Wenn offen, wählt jedes Erzeugen einen neuen und zeigt ihn hier"
    ),
    "Variants": "Varianten",
    "How many objects are made of the image, side by side, each with the next seed": (
        "Wie viele Objekte aus dem Bild erzeugt werden, nebeneinander, jedes mit dem nächsten Startwert"
    ),
    # Placement
    "Collection": "Sammlung",
    "Where the object is filed. Empty: a collection of its own, called Espalier": (
        "Wo das Objekt abgelegt wird. Leer: in einer eigenen Sammlung namens Espalier"
    ),
    "Mark as Asset": "Als Asset markieren",
    "Offer the object in the Asset Browser, with a picture of it": (
        "Das Objekt im Asset-Browser anbieten, mit einem Bild davon"
    ),
    "Size": "Größe",
    "Length of the object's longest side": "Länge der längsten Seite des Objekts",
    # Finish
    "Draft": "Entwurf",
    "For a quick look: the whole mesh with its materials at the vertices, without unwrapping it or making texture "
    "maps. Finish Again turns it into a finished object": (
        "Für einen schnellen Blick: das ganze Mesh mit seinen Materialien an den Vertices, ohne es abzuwickeln oder "
        "Texturen zu machen. „Neu fertigstellen“ macht ein fertiges Objekt daraus"
    ),
    "Share of Faces": "Anteil der Flächen",
    "The mesh gets this share of the triangles that the mended surface has": (
        "Das Mesh bekommt diesen Anteil der Dreiecke der reparierten Oberfläche"
    ),
    "Textures": "Texturen",
    "Size of the texture maps": "Größe der Texturen",
    "Texture maps of 512 × 512 pixels": "Texturen mit 512 × 512 Pixeln",
    "Texture maps of 1024 × 1024 pixels": "Texturen mit 1024 × 1024 Pixeln",
    "Texture maps of 2048 × 2048 pixels": "Texturen mit 2048 × 2048 Pixeln",
    "Texture maps of 4096 × 4096 pixels": "Texturen mit 4096 × 4096 Pixeln",
    "Texture maps of 8192 × 8192 pixels": "Texturen mit 8192 × 8192 Pixeln",
    "Occlusion": "Verdeckung",
    "Bake how hidden each place is into the maps, for game engines and exported glTF files. Cycles and EEVEE find "
    "that by themselves and do not use it": (
        "In die Texturen backen, wie verdeckt jede Stelle ist, für Spiele-Engines und exportierte glTF-Dateien. Cycles "
        "und EEVEE berechnen das selbst und nutzen es nicht"
    ),
    "Normal Map": "Normalmap",
    "Bake the relief of the whole surface, so that a mesh of few faces looks like one of many": (
        "Das Relief der ganzen Oberfläche backen, damit ein Mesh aus wenigen Flächen aussieht wie eines aus vielen"
    ),
    "Also make levels of detail with 50 %, 25 % and 12 % of the faces, for the same maps: objects with the ending "
    "_LOD1, _LOD2 and _LOD3, hidden beside the object": (
        "Auch Detailstufen mit 50 %, 25 % und 12 % der Flächen machen, für dieselben Texturen: Objekte mit den "
        "Endungen _LOD1, _LOD2 und _LOD3, ausgeblendet neben dem Objekt"
    ),
    "Choose Smoothing": "Glättung wählen",
    "Choose how much is smoothed; otherwise it is as the model suggests": (
        "Wählen, wie stark geglättet wird; sonst so, wie das Modell empfiehlt"
    ),
    "Smoothing": "Glättung",
    "How many times the surface is smoothed, without shrinking it, before anything else is made of it": (
        "Wie oft die Oberfläche geglättet wird, ohne zu schrumpfen, bevor etwas anderes damit geschieht"
    ),
    "Choose Holes": "Löcher wählen",
    "Choose which holes are closed; otherwise those with a rim of up to sixteen voxels": (
        "Wählen, welche Löcher geschlossen werden; sonst die mit einem Rand von bis zu sechzehn Voxeln"
    ),
    "Close Holes": "Löcher füllen",
    "Holes with a rim up to this long are closed, in percent of the object's longest side": (
        "Löcher mit einem bis zu so langen Rand werden geschlossen, in Prozent der längsten Seite des Objekts"
    ),
    "Choose Crumbs": "Krümel wählen",
    "Choose which loose pieces are removed; otherwise only the very small ones": (
        "Wählen, welche losen Teile entfernt werden; sonst nur die sehr kleinen"
    ),
    "Remove Crumbs": "Ohne Krümel",
    "Loose pieces smaller than this are removed, in percent of the object's longest side": (
        "Lose Teile, die kleiner sind, werden entfernt, in Prozent der längsten Seite des Objekts"
    ),
    "Thickness": "Dicke",
    "Single sheets, such as leaves and cloth, become this thick, in percent of the object's longest side; at 0 they "
    "stay as thin as the voxels allow": (
        "Einfache Blätter, wie Laub und Stoff, werden so dick, in Prozent der längsten Seite des Objekts; bei 0 "
        "bleiben sie so dünn, wie die Voxel erlauben"
    ),
    # Advanced
    "Choose Steps": "Schritte wählen",
    "Choose the number of steps; otherwise it is the model's own": (
        "Die Anzahl der Schritte wählen; sonst nimmt das Modell seine eigene"
    ),
    "Steps": "Schritte",
    "How many steps lead from noise to the result. Twice as many take twice as long": (
        "Wie viele Schritte vom Rauschen zum Ergebnis führen. Doppelt so viele dauern doppelt so lange"
    ),
    "Choose Guidance": "Führung wählen",
    "Choose the strength of guidance; otherwise it is the model's own": (
        "Die Stärke der Führung wählen; sonst nimmt das Modell seine eigene"
    ),
    "Guidance": "Führung",
    "Fast, Approximate": "Schnell, angenähert",
    "Compute guidance at every other step only, and steps of second order. The result differs a little": (
        "Die Führung nur bei jedem zweiten Schritt berechnen, mit Schritten zweiter Ordnung. Das Ergebnis weicht "
        "etwas ab"
    ),
    "8-Bit Weights": "8-Bit-Gewichte",
    "Keep large networks at 8 bits a weight, in half the memory: on smaller cards they need not take turns. The "
    "result differs a little": (
        "Die großen Netzwerke mit 8 Bit je Gewicht halten, in halb so viel Speicher: auf kleineren Karten müssen sie "
        "sich nicht abwechseln. Das Ergebnis weicht etwas ab"
    ),
    "FP8 Products": "FP8-Produkte",
    "Let large networks multiply 8-bit floating point numbers, which newer graphics cards do faster. The result "
    "differs somewhat": (
        "Die großen Netzwerke Gleitkommazahlen von 8 Bit multiplizieren lassen, was neuere Grafikkarten schneller "
        "können. Das Ergebnis weicht merklich ab"
    ),
    "How strongly the result follows the image. 1 is without guidance and takes half the time; high values "
    "exaggerate": (
        "Wie stark das Ergebnis dem Bild folgt. 1 ist ohne Führung und dauert halb so lange; hohe Werte übertreiben"
    ),
    # The preferences
    "Data Folder": "Datenordner",
    "Where jobs, models and the engine are kept. Empty: one folder per user for all Blender versions": (
        "Wo Aufträge, Modelle und die Engine liegen. Leer: ein Ordner je Benutzer für alle Blender-Versionen"
    ),
    "Engine Python": "Python der Engine",
    "A Python of your own that has what the engine needs. Empty: the one that Install Engine made": (
        "Ein eigenes Python, das hat, was die Engine braucht. Leer: das von „Engine installieren“"
    ),
    "Folder of the published weights (it holds pipeline.json). Empty: models in the data folder": (
        "Ordner der veröffentlichten Gewichte (mit pipeline.json). Leer: die Modelle im Datenordner"
    ),
    "Live Preview": "Live-Vorschau",
    "Show in the viewport what is being made: first its voxels, then its shape, then its colours": (
        "Im Ansichtsfenster zeigen, was entsteht: erst die Voxel, dann die Form, dann die Farben"
    ),
    "Keep at Most": "Höchstens behalten",
    "Above this many gigabytes of results the panel offers to delete the oldest; 0 for no limit": (
        "Ab so vielen Gigabyte an Ergebnissen bietet das Panel an, die ältesten zu löschen; 0 für keine Grenze"
    ),
    "Stop When Idle": "Beenden bei Leerlauf",
    "An engine without work stops after so many minutes and gives its memory back; 0 to let it run": (
        "Eine Engine ohne Arbeit endet nach so vielen Minuten und gibt ihren Speicher frei; 0 lässt sie laufen"
    ),
    "Result": "Ergebnis",
}
