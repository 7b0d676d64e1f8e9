# SPDX-License-Identifier: GPL-3.0-or-later
"""What the self-test finds."""

TOLD = {
    "Everything that is needed works.": "Alles Nötige funktioniert.",
    "Not usable yet: {0}. {1}": "Noch nicht benutzbar: {0}. {1:told}",
    "did not answer within {0} s": "antwortete nicht innerhalb von {0} s",
    "could not be looked at: {0}: {1}": "ließ sich nicht prüfen: {0}: {1}",
    "Restart the computer, then run the doctor again.": "Den Rechner neu starten und den Selbsttest wiederholen.",
    "Report this with what the doctor says.": "Dies mit dem Ergebnis des Selbsttests melden.",
    "Press Install Engine in the Espalier panel to repair it (in a checkout: run build.py test once).": (
        "Zum Reparieren im Espalier-Panel „Engine installieren“ drücken (in einem Checkout: build.py test ausführen)."
    ),
    # System and device
    "Espalier {0}, Python {1} in {2}": "Espalier {0}, Python {1} in {2}",
    "{0}; {1}, {2} cores": "{0}; {1}, {2} Kerne",
    "no NVIDIA card or driver found: the processor computes, which is slow for TRELLIS.2-4B": (
        "keine NVIDIA-Karte oder kein Treiber gefunden: der Prozessor rechnet, was für TRELLIS.2-4B langsam ist"
    ),
    "{0}, but this torch is built without CUDA: the processor computes, which is slow. {1}": (
        "{0}, aber dieses torch ist ohne CUDA gebaut: der Prozessor rechnet, was langsam ist. {1:told}"
    ),
    # Memory and data
    "{0}, {1} GB free": "{0}, {1} GB frei",
    "{0}: little is free, close other programs before a job": (
        "{0:told}: wenig ist frei, vor einem Auftrag andere Programme schließen"
    ),
    "the system does not tell how much memory it has": "das System sagt nicht, wie viel Speicher es hat",
    "{0} cannot be written: {1}": "{0} ist nicht beschreibbar: {1}",
    "Allow writing there and free some space, or choose another data folder in the preferences.": (
        "Das Schreiben dort erlauben und Platz schaffen oder in den Einstellungen einen anderen Datenordner wählen."
    ),
    "Check that disk, or choose another data folder in the preferences.": (
        "Diesen Datenträger prüfen oder in den Einstellungen einen anderen Datenordner wählen."
    ),
    "{0}; what was written was not read back": "{0:told}; Geschriebenes kam anders zurück",
    "{0}: little space is left for jobs and models": "{0:told}: wenig Platz für Aufträge und Modelle",
    "{0}, written and read back": "{0:told}, geschrieben und gelesen",
    # Packages
    "{0}; missing: {1}": "{0}; es fehlen: {1}",
    "found: {0}": "gefunden: {0}",
    "{0} is missing: {1}": "{0} fehlt: {1:told}",
    "the processor computes": "der Prozessor rechnet",
    "BiRefNet cannot run, so images need a transparent or plain background": (
        "BiRefNet läuft nicht, Bilder brauchen daher einen transparenten oder einfarbigen Hintergrund"
    ),
    "models cannot be downloaded, only imported from a folder": (
        "Modelle lassen sich nicht herunterladen, nur aus einem Ordner importieren"
    ),
    "plain torch computes instead": "stattdessen rechnet einfaches torch",
    "torch's own attention computes instead": "stattdessen rechnet die Attention von torch",
    "large meshes are converted more slowly; training data cannot be made": (
        "große Meshs werden langsamer umgewandelt; Trainingsdaten lassen sich nicht erzeugen"
    ),
    # Models
    "{0}: {1}": "{0}: {1:told}",
    "Install the extension again: its package is incomplete.": (
        "Die Erweiterung neu installieren: ihr Paket ist unvollständig."
    ),
    "Run “blender --command espalier models download {0}”: it fetches only what is bad.": (
        "„blender --command espalier models download {0}“ ausführen: es holt nur das Fehlerhafte."
    ),
    "{0}: not here": "{0}: nicht da",
    "{0}: here, {1} MB": "{0}: da, {1} MB",
    "not here. {0}": "nicht da. {0:told}",
    "damaged: {0}": "beschädigt: {0}",
    "{0} of {1} files are missing or empty, first {2}": "{0} von {1} Dateien fehlen oder sind leer, zuerst {2}",
    "another size than it should have: {0}": "falsche Größe: {0}",
    "here, {0}, verified": "da, {0}, geprüft",
    "here, {0}, not verified yet": "da, {0}, noch nicht geprüft",
    # The trial run
    "torch {0} {1}, {2} threads: loaded in {3} s": "torch {0} {1:told}, {2} Threads: geladen in {3} s",
    "on the processor": "auf dem Prozessor",
    "with CUDA {0}, {1} of {2} GB free": "mit CUDA {0}, {1} von {2} GB frei",
    "sparse convolution equals torch's ({0} apart)": "dünnbesetzte Faltung gleicht der von torch (Abstand {0})",
    "Triton is not installed: plain torch computes, which is slower.": (
        "Triton ist nicht installiert: einfaches torch rechnet, was langsamer ist."
    ),
    "This graphics card is older than what Triton compiles for: plain torch computes, which is slower.": (
        "Diese Grafikkarte ist zu alt für Triton: einfaches torch rechnet, was langsamer ist."
    ),
    "Triton cannot be loaded ({0}): plain torch computes, which is slower.": (
        "Triton lässt sich nicht laden ({0}): einfaches torch rechnet, was langsamer ist."
    ),
    "The Triton kernels fail on this device ({0}): plain torch computes, which is slower.": (
        "Die Triton-Kernels versagen auf diesem Gerät ({0}): einfaches torch rechnet, was langsamer ist."
    ),
    "Triton starts its kernels with the help of gcc and Python's header files: plain torch computes, which is slower, "
    "until both are installed (on Debian and Ubuntu the packages gcc and python3-dev).": (
        "Triton braucht für seine Kernels gcc und die Header-Dateien von Python: einfaches torch rechnet, was "
        "langsamer ist, bis beide installiert sind (unter Debian und Ubuntu die Pakete gcc und python3-dev)."
    ),
    "the Triton kernels serve": "die Triton-Kernels werden benutzt",
    "starter model: {0} faces in {1} s ({2}), all numbers finite": (
        "Einstiegsmodell: {0} Flächen in {1} s ({2}), alle Zahlen endlich"
    ),
    "TRELLIS.2-4B with {0} GB of memory to use:": "TRELLIS.2-4B mit {0} GB nutzbarem Speicher:",
    "{0}, {1}: {2}, {3} GB": "{0:told}, {1}: {2:told}, {3} GB",
    "generate": "erzeugen",
    "texture": "texturieren",
    "fits": "passt",
    "fits when its networks take turns": "passt, wenn die Netzwerke sich abwechseln",
    "does not fit": "passt nicht",
    "starting Python": "Python starten",
    "loading torch": "torch laden",
    "the sparse convolution": "die dünnbesetzte Faltung",
    "the starter model": "das Einstiegsmodell",
    "the memory plan": "der Speicherplan",
    "skipped: {0}": "übersprungen: {0:told}",
    "{0} failed{1}": "fehlgeschlagen: {0:told}{1}",
    "{0} did not end within {1} s": "nicht innerhalb von {1} s fertig: {0:told}",
    "{0} ended by itself with code {1}": "endete von selbst mit Code {1}: {0:told}",
    "Close other programs and run the doctor again.": "Andere Programme schließen und den Selbsttest wiederholen.",
    "Torch cannot use the NVIDIA card. Install a newer NVIDIA driver, then run the doctor again.": (
        "Torch kann die NVIDIA-Karte nicht benutzen. Einen neueren NVIDIA-Treiber installieren und den Selbsttest "
        "wiederholen."
    ),
    "The sparse convolution differs from torch's by {0} on this device. Update the graphics driver, and report this.": (
        "Die dünnbesetzte Faltung weicht auf diesem Gerät um {0} von der von torch ab. Den Grafiktreiber aktualisieren "
        "und dies melden."
    ),
    "The finished object's {0} hold values that are no numbers. Report this.": (
        "Das fertige Objekt hat in {0} Werte, die keine Zahlen sind. Dies melden."
    ),
}
