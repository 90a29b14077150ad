"""Where a data set's files come from: addresses, digests and what an archive holds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Download:
    """One file to download.

    md5: its digest, as its publishers and their mirrors state it. unpacks: the files inside it that the reader needs,
    by their paths in the archive; empty for a file that is used as it is.
    """

    name: str
    md5: str
    unpacks: tuple[str, ...] = ()

    @property
    def files(self) -> tuple[str, ...]:
        """The files that this download leaves in the data set's folder."""
        return self.unpacks or (self.name,)


@dataclass(frozen=True)
class Origin:
    """The downloads of one data set. url: the folder they lie in. megabytes: what they weigh together."""

    url: str
    downloads: tuple[Download, ...]
    megabytes: int
