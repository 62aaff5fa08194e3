"""The configuration that a command stands on."""

import os
from pathlib import Path

import typer

from config.load import find_file, load_settings
from config.settings import Settings


def config_file(context: typer.Context) -> Path | None:
    """Return the configuration file in force; None is the sandbox."""
    return find_file(context.find_root().params.get("config"), os.environ, Path())


def read_settings(context: typer.Context) -> Settings:
    """Return the settings in force.  Raises ConfigError."""
    return load_settings(config_file(context), os.environ)
