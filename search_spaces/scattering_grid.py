"""What the scattering families share: from points of their axes to named configurations."""

from dataclasses import fields, replace
from typing import Any

from trainables.scattering import ScatteringConfig

TRAINABLE = "trainables.scattering"


def configure(base: ScatteringConfig, combinations: list[dict[str, Any]]) -> tuple[list[ScatteringConfig], list[str]]:
    """Configurations of the points, and a line with the reason for each point that cannot be."""
    configs, left_out = [], []
    for point in combinations:
        try:
            configs.append(replace(base, **point))
        except ValueError as error:
            values = " ".join(f"{name}={value}" for name, value in point.items())
            left_out.append(f"{values}: {error}")
    return configs, left_out


def architecture_name(config: ScatteringConfig) -> str:
    """Blocks, modulus, orientations, horizon: `3b_cmod_L4`, `4b_prelu_L8_h27`."""
    modulus = {"complex_modulus": "cmod", "phase_relu": "prelu"}[config.modulus_type]
    horizon = f"_h{config.mixing_horizon}" if config.mixing_horizon else ""
    return f"{config.n_blocks}b_{modulus}_L{config.L}{horizon}"


def run_name(config: ScatteringConfig, implied: ScatteringConfig) -> str:
    """`architecture_name`, `_rand` for random init, the train size (`_s10` for 10 %, `_n5000` for a count), and every
    other field in which `config` differs from `implied`."""
    size = config.train_size
    parts = [architecture_name(config) + ("_rand" if config.random_init else "")]
    spoken = {"n_blocks", "modulus_type", "L", "mixing_horizon", "random_init", "train_size", "seed"}
    for field in fields(config):
        value = getattr(config, field.name)
        if field.name not in spoken and value != getattr(implied, field.name):
            parts.append(field.name if value is True else f"{field.name}={value}")
    parts.append(f"s{100 * size:02.4g}" if size <= 1 else f"n{size:.0f}")
    return "_".join(parts)
