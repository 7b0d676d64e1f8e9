# SPDX-License-Identifier: GPL-3.0-or-later
"""Sentences that the engine makes about models: fetching, checking and loading them."""

TOLD = {
    # What they are for, and on which terms
    "Simple shapes.": "Einfache Formen.",
    "Photographs and detailed objects; texturing of meshes.": "Fotos und detailreiche Objekte; Texturieren von Meshs.",
    "The image encoder of TRELLIS.2-4B.": "Der Bild-Encoder von TRELLIS.2-4B.",
    "Cuts the subject out of its background.": "Stellt das Motiv von seinem Hintergrund frei.",
    "Free for every use, also commercial, as long as the copyright notice stays with the weights.": (
        "Frei für jede Nutzung, auch kommerziell, solange der Urheberhinweis bei den Gewichten bleibt."
    ),
    "Meta's own terms: commercial use is allowed, the weights are passed on only with their licence, military and "
    "weapons uses are forbidden. The text: https://ai.meta.com/resources/models-and-libraries/dinov3-license/": (
        "Metas eigene Bedingungen: kommerzielle Nutzung ist erlaubt, die Gewichte dürfen nur mit ihrer Lizenz "
        "weitergegeben werden, Nutzung für Militär und Waffen ist verboten. Der Text: "
        "https://ai.meta.com/resources/models-and-libraries/dinov3-license/"
    ),
    # Listing, fetching and removing
    "{0}: ready, comes with Espalier. Simple shapes.": "{0}: bereit, kommt mit Espalier. Einfache Formen.",
    "{0}: {1}. {2} Licence: {3}{4}.": "{0}: {1:told}. {2:told} Lizenz: {3}{4}.",
    "ready in {0}": "bereit in {0}",
    "not complete in {0}; “models verify {1}” says what is wrong": (
        "nicht vollständig in {0}; „models verify {1}“ sagt, was fehlt"
    ),
    "{0} of it downloaded, “models download” goes on": "{0} davon geladen, „models download“ macht weiter",
    "not on this computer": "nicht auf diesem Rechner",
    "{0}: {1}, {2} of {3}": "{0}: {1:told}, {2} von {3}",
    "{0}, {1} MB/s": "{0:told}, {1} MB/s",
    "{0}, {1} min left": "{0:told}, noch {1} min",
    "{0}, {1} s left": "{0:told}, noch {1} s",
    "{0}: checking": "{0}: wird geprüft",
    "downloading": "wird geladen",
    "importing": "wird importiert",
    "verifying": "wird geprüft",
    "{0} is complete and verified.": "{0} ist vollständig und geprüft.",
    "{0} was imported and verified.": "{0} wurde importiert und geprüft.",
    "{0} is here already. “models verify {1}” checks it.": "{0} ist schon da. „models verify {1}“ prüft es.",
    "This also needs {0}: see “models list”.": "Dazu gehört auch {0}: siehe „models list“.",
    "{0}: all files are as they should be.": "{0}: alle Dateien sind, wie sie sein sollen.",
    "{0} was {1}.": "{0} {1:told}.",
    "removed": "wurde entfernt",
    "not here": "war nicht da",
    "Blender does not allow the network. Switch on Preferences > System > Network > Allow Online Access, or start "
    "Blender with --online-mode.": (
        "Blender erlaubt das Netzwerk nicht. Einstellungen > System > Netzwerk > Online-Zugriff erlauben einschalten "
        "oder Blender mit --online-mode starten."
    ),
    "Nothing was downloaded yet: read the licences above, then run this with --accept-licence.": (
        "Noch wurde nichts heruntergeladen: die Lizenzen oben lesen und dies mit --accept-licence ausführen."
    ),
    "--from belongs to one model set. Download the others without it.": (
        "--from gehört zu einem einzigen Modell. Die anderen ohne es herunterladen."
    ),
    "The starter model is a part of Espalier and stays.": "Das Einstiegsmodell ist ein Teil von Espalier und bleibt.",
    "{0} needs {1} in {2}, where {3} are free. Free some space, or choose another data folder.": (
        "{0} braucht {1} in {2}, wo {3} frei sind. Platz schaffen oder einen anderen Datenordner wählen."
    ),
    "{0} is in use. Stop the engine of every Blender, then run this again.": (
        "{0} ist in Gebrauch. Die Engine jedes Blenders beenden und dies wiederholen."
    ),
    "The file name “{0}” leads out of the model's folder and was refused.": (
        "Der Dateiname „{0}“ führt aus dem Ordner des Modells und wurde abgelehnt."
    ),
    "The model file “{0}” arrived damaged twice and was refused. Try again later.": (
        "Die Modelldatei „{0}“ kam zweimal beschädigt an und wurde abgelehnt. Später noch einmal versuchen."
    ),
    "{0} offers another {1} than the published one, which was refused.": (
        "{0} bietet eine andere {1} als die veröffentlichte; sie wurde abgelehnt."
    ),
    "{0} has no file {1}. {2}": "{0} hat keine Datei {1}. {2:told}",
    "Name another repository.": "Ein anderes Repositorium nennen.",
    "Update Espalier.": "Espalier aktualisieren.",
    "{0} gives its weights only to accounts that accepted its conditions, and {1}. Ask for access, or choose another "
    "source.": (
        "{0} gibt seine Gewichte nur an Konten, die den Bedingungen zugestimmt haben, und {1:told}. Zugang beantragen "
        "oder eine andere Quelle wählen."
    ),
    "the account of this computer's token has not been let in": (
        "das Konto zum Token dieses Rechners hat noch keinen Zugang"
    ),
    "this computer has no token": "dieser Rechner hat kein Token",
    "{0} no longer has the revision that was asked for. Update Espalier, or name another one.": (
        "{0} hat die verlangte Revision nicht mehr. Espalier aktualisieren oder eine andere nennen."
    ),
    "There is no repository {0}, or {1}. Check its name at {2}.": (
        "Das Repositorium {0} gibt es nicht, oder {1:told}. Den Namen unter {2} prüfen."
    ),
    "this computer's token does not open it": "das Token dieses Rechners öffnet es nicht",
    "it is private": "es ist privat",
    "HF_HUB_OFFLINE is set, so nothing is downloaded. Remove it from the environment and try again.": (
        "HF_HUB_OFFLINE ist gesetzt, daher wird nichts heruntergeladen. Aus der Umgebung entfernen und noch einmal "
        "versuchen."
    ),
    "The model hub answered {0} for {1}. Try again later: what arrived is kept.": (
        "Der Modell-Hub antwortete {0} für {1}. Später noch einmal versuchen: was ankam, bleibt erhalten."
    ),
    "The model hub could not be reached for {0}. Check the connection. {1}": (
        "Der Modell-Hub war für {0} nicht erreichbar. Die Verbindung prüfen. {1:told}"
    ),
    "The download of {0} was cut off at {1}. {2}": "Der Download von {0} brach bei {1} ab. {2:told}",
    "Run the command again: it goes on where it stopped.": (
        "Den Befehl noch einmal ausführen: er macht da weiter, wo er aufhörte."
    ),
    "What answered for {0} is no model hub. Check the proxy, the firewall and HF_ENDPOINT.": (
        "Was für {0} antwortete, ist kein Modell-Hub. Proxy, Firewall und HF_ENDPOINT prüfen."
    ),
    "Accept its conditions at {0}, then log in with “hf auth login” or set HF_TOKEN.": (
        "Den Bedingungen unter {0} zustimmen, dann mit „hf auth login“ anmelden oder HF_TOKEN setzen."
    ),
    "{0} is not a folder. Name the folder that holds the model's files.": (
        "{0} ist kein Ordner. Den Ordner mit den Dateien des Modells nennen."
    ),
    "{0}: no model set was recognised here. Name the folder that holds its files.": (
        "{0}: hier wurde kein Modell erkannt. Den Ordner mit seinen Dateien nennen."
    ),
    "{0} is where {1} lies already. “models verify” checks it.": ("In {0} liegt {1} schon. „models verify“ prüft es."),
    "{0} is not complete: the file “{1}” is missing. Copy it too, or name its folder as well.": (
        "{0} ist nicht vollständig: die Datei „{1}“ fehlt. Auch sie kopieren oder ihren Ordner mit nennen."
    ),
    "{0} is not in {1}. Download or import it first.": ("{0} ist nicht in {1}. Zuerst herunterladen oder importieren."),
    "“models download {0}” fetches only what is bad.": "„models download {0}“ holt nur das Fehlerhafte.",
    "{0} comes from its own repositories only. Leave --from out.": (
        "{0} kommt nur aus den eigenen Repositorien. --from weglassen."
    ),
    "“{0}” is no repository. Write owner/name, or owner/name@revision.": (
        "„{0}“ ist kein Repositorium. owner/name oder owner/name@revision schreiben."
    ),
    "There is no model set “{0}”. Choose one of: {1}.": "Das Modell „{0}“ gibt es nicht. Zur Wahl stehen: {1}.",
    # What is not here
    "The model {0} is not on this computer. Fetch it, or choose the starter model.": (
        "Das Modell {0} ist nicht auf diesem Rechner. Es herunterladen oder das Einstiegsmodell wählen."
    ),
    "The model {0} was not found in “{1}”. Fetch it again or choose another model.": (
        "Das Modell {0} wurde in „{1}“ nicht gefunden. Neu herunterladen oder ein anderes wählen."
    ),
    "{0} is not on this computer. Run “blender --online-mode --command espalier models download {1}”, or choose "
    "another way to find the subject.": (
        "{0} ist nicht auf diesem Rechner. „blender --online-mode --command espalier models download {1}“ ausführen "
        "oder das Motiv anders finden lassen."
    ),
    "The image encoder {0}, which this model works with, is not on this computer. Run “blender --online-mode --command "
    "espalier models download {1}”.": (
        "Der Bild-Encoder {0}, mit dem dieses Modell arbeitet, ist nicht auf diesem Rechner. „blender --online-mode "
        "--command espalier models download {1}“ ausführen."
    ),
    "The network “{0}” of {1}, which this model works with, is not on this computer. Put its .json and .safetensors "
    "into “{2}”, or run “blender --online-mode --command espalier models download {3}”.": (
        "Das Netzwerk „{0}“ von {1}, mit dem dieses Modell arbeitet, ist nicht auf diesem Rechner. Seine .json und "
        ".safetensors nach „{2}“ legen oder „blender --online-mode --command espalier models download {3}“ ausführen."
    ),
    "The model set in “{0}” has no {1}. Fetch it again.": "Das Modell in „{0}“ hat kein {1}. Neu herunterladen.",
    # What does not fit
    "This model has no quality “{0}”. Choose one of: {1}.": (
        "Dieses Modell hat keine Qualität „{0}“. Zur Wahl stehen: {1}."
    ),
    "This model can only texture meshes. Choose another model set.": (
        "Dieses Modell kann nur Meshs texturieren. Ein anderes wählen."
    ),
    "This model cannot texture a mesh: it lacks the networks for it.": (
        "Dieses Modell kann kein Mesh texturieren: ihm fehlen die Netzwerke dafür."
    ),
    "This model set asks for a network that Espalier does not know: {0}.": (
        "Dieses Modell verlangt ein Netzwerk, das Espalier nicht kennt: {0}."
    ),
    "This {0} uses a setting that Espalier does not support.": "{0} nutzt einen Wert, den Espalier nicht unterstützt.",
    "A model description does not fit {0}. Fetch the model again.": (
        "Eine Modellbeschreibung passt nicht zu {0}. Das Modell neu herunterladen."
    ),
    "A model description has values that do not fit {0}. Fetch the model again.": (
        "Eine Modellbeschreibung hat Werte, die nicht zu {0} passen. Das Modell neu herunterladen."
    ),
    "The model's pipeline.json has no {0}. Fetch the model again.": (
        "Die pipeline.json des Modells hat kein {0}. Das Modell neu herunterladen."
    ),
    "The problem is: {0}.": "Das Problem ist: {0}.",
    # Files of models
    "The model's file “{0}” is larger than {1} MiB, too large for a description. Fetch the model again.": (
        "Die Datei „{0}“ des Modells ist größer als {1} MiB, zu groß für eine Beschreibung. Neu herunterladen."
    ),
    "The model's file “{0}” is missing. Fetch the model again.": (
        "Die Datei „{0}“ des Modells fehlt. Das Modell neu herunterladen."
    ),
    "The model's file “{0}” cannot be read. Fetch the model again.": (
        "Die Datei „{0}“ des Modells ist nicht lesbar. Das Modell neu herunterladen."
    ),
    "The model's file “{0}” cannot be used. Fetch the model again.": (
        "Die Datei „{0}“ des Modells ist unbrauchbar. Das Modell neu herunterladen."
    ),
    "The model's file “{0}” cannot be used: {1} has {2} values, and the latents of {3} have {4} channels. Fetch the "
    "model again.": (
        "Die Datei „{0}“ des Modells ist unbrauchbar: {1} hat {2} Werte, und die Latents von {3} haben {4} Kanäle. Das "
        "Modell neu herunterladen."
    ),
    "The model's file “{0}” asks for program code to be loaded with the weights, which Espalier never does. Use a "
    "model set that comes without code.": (
        "Die Datei „{0}“ des Modells verlangt, mit den Gewichten Programmcode zu laden, was Espalier nie tut. Ein "
        "Modell ohne Code verwenden."
    ),
    "The model's file “{0}.json” does not describe a network. Fetch the model again.": (
        "Die Datei „{0}.json“ des Modells beschreibt kein Netzwerk. Das Modell neu herunterladen."
    ),
    "The model's file “{0}” describes another image encoder than ViT-L/16.": (
        "Die Datei „{0}“ des Modells beschreibt einen anderen Bild-Encoder als ViT-L/16."
    ),
    "The model's file “{0}” names another network than DINOv3 ViT-L/16. Choose another source.": (
        "Die Datei „{0}“ des Modells nennt ein anderes Netzwerk als DINOv3 ViT-L/16. Eine andere Quelle wählen."
    ),
    "The model file “{0}” {1} Fetch the model again.": "Die Modelldatei „{0}“ {1:told} Das Modell neu herunterladen.",
    "is missing.": "fehlt.",
    "is empty.": "ist leer.",
    "is empty (0 bytes).": "ist leer (0 Bytes).",
    "is truncated.": "ist abgeschnitten.",
    "is another file than the published one.": "ist eine andere Datei als die veröffentlichte.",
    "is damaged, or another one than the published.": "ist beschädigt oder eine andere als die veröffentlichte.",
    "is damaged: the tensor “{0}” holds values that are no numbers.": (
        "ist beschädigt: der Tensor „{0}“ hat Werte, die keine Zahlen sind."
    ),
    "was changed while it was read.": "wurde beim Lesen geändert.",
    "cannot be read.": "ist nicht lesbar.",
    "cannot be read ({0}).": "ist nicht lesbar ({0}).",
    "cannot be run.": "lässt sich nicht ausführen.",
    "gave no usable mask.": "ergab keine brauchbare Maske.",
    "has an unreadable table of contents.": "hat ein unlesbares Inhaltsverzeichnis.",
    "has gaps or overlaps between its tensors.": "hat Lücken oder Überlappungen zwischen ihren Tensoren.",
    "is longer than its table of contents says.": "ist länger, als ihr Inhaltsverzeichnis sagt.",
    "is not a safetensors file, or only a part of one.": "ist keine safetensors-Datei oder nur ein Teil einer solchen.",
    "is not an ONNX network, or only a part of one.": "ist kein ONNX-Netzwerk oder nur ein Teil eines solchen.",
    "is made for an ONNX that is too old.": "ist für ein zu altes ONNX gemacht.",
    "is not BiRefNet: its inputs and outputs differ.": "ist nicht BiRefNet: Ein- und Ausgänge sind andere.",
    "refers to a file outside its folder and was refused.": (
        "verweist auf eine Datei außerhalb ihres Ordners und wurde abgelehnt."
    ),
    "It names {0}.": "Sie nennt {0}.",
    "has weights of a kind that is not supported ({0}).": "hat Gewichte einer nicht unterstützten Art ({0}).",
    "has a damaged table of contents.": "hat ein beschädigtes Inhaltsverzeichnis.",
    "belongs to another network.": "gehört zu einem anderen Netzwerk.",
    "belongs to another network than its description says.": (
        "gehört zu einem anderen Netzwerk, als ihre Beschreibung sagt."
    ),
    "has the wrong size for its network.": "hat die falsche Größe für ihr Netzwerk.",
    "has weights of a kind that is not supported.": "hat Gewichte einer nicht unterstützten Art.",
    "has damaged quantised weights.": "hat beschädigte quantisierte Gewichte.",
    "is no image encoder in timm's layout.": "ist kein Bild-Encoder im Aufbau von timm.",
}
