"""The files that come with the package are found in a checkout and in an installation."""

from __future__ import annotations

import pytest

from gpucnn import resources
from gpucnn.errors import ConfigError, GpucnnError


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A package as a wheel lays it out: configs inside of it, and a stranger's configs beside it."""
    for place in ("site/gpucnn/configs", "site/gpucnn/kernels", "site/configs"):
        (tmp_path / place).mkdir(parents=True)
    for name in ("digits", "mnist-lenet"):
        (tmp_path / f"site/gpucnn/configs/{name}.yaml").write_text(f"name: {name}\n")
    monkeypatch.setattr(resources, "_PACKAGE", tmp_path / "site" / "gpucnn")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "site" / "gpucnn"


@pytest.mark.parametrize("name", ["configs", "kernels"])
def test_a_checkout_has_its_folders_beside_the_package(name):
    assert (resources.folder(name).parent / "pyproject.toml").is_file()


def test_an_installation_has_its_folders_inside_the_package(installed):
    assert resources.folder("configs") == installed / "configs"
    assert resources.folder("kernels") == installed / "kernels"


def test_a_folder_of_the_name_beside_an_installation_is_a_stranger(installed):
    (installed / "kernels").rmdir()
    (installed.parent / "kernels").mkdir()
    with pytest.raises(GpucnnError, match=r"kernels are missing.*install gpucnn again"):
        resources.folder("kernels")


def test_shipped_configs_go_by_the_names_of_their_files(installed):
    assert list(resources.shipped_configs()) == ["digits", "mnist-lenet"]


@pytest.mark.parametrize("name", ["digits", "digits.yaml"])
def test_a_shipped_config_is_found_from_any_folder(installed, name):
    assert resources.find_config(name) == installed / "configs" / "digits.yaml"


def test_a_file_goes_before_a_shipped_config(installed, tmp_path):
    (tmp_path / "digits").write_text("name: mine\n")
    assert resources.find_config("digits").read_text() == "name: mine\n"


def test_a_folder_does_not_hide_a_shipped_config(installed, tmp_path):
    (tmp_path / "digits").mkdir()
    assert resources.find_config("digits") == installed / "configs" / "digits.yaml"


def test_an_unknown_name_lists_the_shipped_ones_and_the_one_that_was_meant(installed):
    with pytest.raises(ConfigError) as caught:
        resources.find_config("digts.yaml")
    assert str(caught.value) == (
        "digts.yaml: no such file, and no shipped experiment; did you mean 'digits'? known: digits, mnist-lenet"
    )


def test_a_name_like_no_other_gets_no_suggestion(installed):
    with pytest.raises(ConfigError, match=r"no shipped experiment; known: digits"):
        resources.find_config("zzz")
