# SPDX-License-Identifier: GPL-3.0-or-later
"""Single files from the model hub, through huggingface_hub, resumed at the byte where an earlier try ended.

huggingface_hub's own downloads throw a cut file away; its ``http_get`` does not, so the partial files are ours. Its
settings hold as they are: HF_ENDPOINT, HF_TOKEN and HF_HOME of the user, the proxy and certificates of the system.
A token is sent only where access was refused without one, because an expired one closes even open repositories.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import httpx2
from huggingface_hub import constants, get_hf_file_metadata, get_token, hf_hub_url
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.file_download import http_get
from huggingface_hub.utils import build_hf_headers, disable_progress_bars

from ..errors import EspalierError

# What has arrived is written, and survives a cut, in pieces of this size.
_CHUNK = 64 << 10
_FRUITLESS_TRIES = 3
_AGAIN = "Run the command again: it goes on where it stopped."


@dataclass(frozen=True)
class Remote:
    """A file of a repository at one commit: its bytes, and its checksum in hexadecimal: SHA-256, or that of a git blob.

    ``token``: whether it is given only to who shows one.
    """

    repository: str
    commit: str
    path: str
    size: int
    checksum: str
    token: bool


class Hub:
    """The model hub that HF_ENDPOINT names, or the public one."""

    def __init__(self) -> None:
        disable_progress_bars()
        # Every failure is raised; its warnings would only fill the log with what is tried again.
        logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
        constants.DOWNLOAD_CHUNK_SIZE = _CHUNK
        # Nothing is said about this computer, and nothing is written beside the models.
        constants.HF_HUB_DISABLE_TELEMETRY = True

    def look(self, repository: str, revision: str, path: str, alternatives: tuple[str, ...] = ()) -> Remote | None:
        """Ask for a file of a repository; None when it is not in it.

        Raises EspalierError: "gated" with the ``alternatives`` to a repository behind a gate, "no_network", "hub".
        """
        url = hf_hub_url(repository, path, revision=revision)
        token: str | None = None
        try:
            try:
                found = get_hf_file_metadata(url, token=False, retry_on_errors=True)
            except (RemoteEntryNotFoundError, RevisionNotFoundError):
                raise
            except HfHubHTTPError as error:
                token = get_token()
                if error.response.status_code not in (401, 403, 404) or token is None:
                    raise
                found = get_hf_file_metadata(url, token=token, retry_on_errors=True)
        except RemoteEntryNotFoundError:
            return None
        except (HfHubHTTPError, httpx2.HTTPError, OfflineModeIsEnabled) as error:
            _explain(error, repository, token is not None, alternatives)
        if not found.commit_hash or not found.size:
            raise EspalierError(
                "hub",
                f"What answered for {repository} is no model hub. Check the proxy, the firewall and HF_ENDPOINT.",
                f"{path}: {found.size} bytes at {found.commit_hash}",
            )
        checksum = (found.etag or "").lower()
        return Remote(repository, found.commit_hash, path, found.size, checksum, token is not None)

    def fetch(self, remote: Remote, partial: Path, seen: Callable[[int], Any]) -> None:
        """Complete the file ``partial`` with the bytes it lacks. ``seen`` is told how many came, negative for a loss.

        Raises EspalierError ("no_network", "hub", "gated") with what arrived kept, and OSError of the file.
        """
        url = hf_hub_url(remote.repository, remote.path, revision=remote.commit)
        headers = build_hf_headers(token=get_token() if remote.token else False)
        headers["Accept-Encoding"] = "identity"
        have, fruitless = _size(partial), 0
        if have > remote.size:
            partial.unlink()
            seen(-have)
            have = 0
        while have < remote.size:
            problem: Exception | None = None
            try:
                with partial.open("ab") as file:
                    http_get(url, _Counted(file, seen), resume_size=have, headers=headers, expected_size=remote.size)
            except (HfHubHTTPError, OfflineModeIsEnabled) as error:
                _explain(error, remote.repository, remote.token, ())
            except httpx2.HTTPError as error:
                problem = error
            except OSError as error:
                if error.errno is not None:
                    raise
                problem = error  # the hub's word for another length than was announced
            now = _size(partial)
            fruitless = 0 if now > have else fruitless + 1
            if now > remote.size or fruitless == _FRUITLESS_TRIES:
                raise EspalierError(
                    "no_network",
                    f"The download of {remote.repository} was cut off at {Path(remote.path).name}. {_AGAIN}",
                    f"{now} of {remote.size} bytes; {_line(problem) if problem else 'no more came'}",
                )
            have = now


class _Counted:
    """A file opened for appending that tells how many bytes come and go."""

    def __init__(self, file: BinaryIO, seen: Callable[[int], Any]) -> None:
        self._file, self._seen = file, seen
        self.seek, self.tell = file.seek, file.tell

    def write(self, data: bytes) -> int:
        count = self._file.write(data)
        self._seen(count)
        return count

    def truncate(self) -> int:
        end = self._file.tell()
        lost = self._file.seek(0, 2) - end
        self._seen(-lost)
        return self._file.truncate(end)


def _explain(error: Exception, repository: str, token: bool, alternatives: tuple[str, ...]) -> NoReturn:
    """Raise the sentence for what the hub or the way to it answered."""
    status = error.response.status_code if isinstance(error, HfHubHTTPError) else 0
    page = f"{constants.ENDPOINT}/{repository}"
    if isinstance(error, GatedRepoError) or (status in (401, 403) and alternatives):
        state = "the account of this computer's token has not been let in" if token else "this computer has no token"
        hint = f"Accept its conditions at {page}, then log in with “hf auth login” or set HF_TOKEN."
        if alternatives:
            hint += f" Or take the same network without a gate: --from {' or --from '.join(alternatives)}"
        raise EspalierError(
            "gated",
            f"{repository} gives its weights only to accounts that accepted its conditions, and {state}. Ask for "
            "access, or choose another source.",
            hint,
        ) from None
    if isinstance(error, RevisionNotFoundError):
        sentence = f"{repository} no longer has the revision that was asked for. Update Espalier, or name another one."
    elif isinstance(error, RepositoryNotFoundError) or status in (401, 403, 404):
        used = "this computer's token does not open it" if token else "it is private"
        sentence = f"There is no repository {repository}, or {used}. Check its name at {page}."
    elif isinstance(error, OfflineModeIsEnabled):
        sentence = "HF_HUB_OFFLINE is set, so nothing is downloaded. Remove it from the environment and try again."
    elif status:
        sentence = f"The model hub answered {status} for {repository}. Try again later: what arrived is kept."
    else:
        sentence = f"The model hub could not be reached for {repository}. Check the connection. {_AGAIN}"
    raise EspalierError("hub" if status else "no_network", sentence, _line(error)) from None


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _line(error: Exception) -> str:
    text = str(error).strip().split("\n")[0][:200]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
