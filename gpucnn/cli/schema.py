"""`gpucnn schema`: the JSON Schema of the config file, for editors."""

from __future__ import annotations


def schema() -> None:
    """Print the JSON Schema of a config file.

    Editors that know YAML (VS Code with the YAML extension, Neovim, JetBrains) complete and check a config whose
    first line is `# yaml-language-server: $schema=FILE`, FILE being what this prints.
    """
    from gpucnn.config.schema import to_json

    print(to_json(), end="")
