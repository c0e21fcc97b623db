"""What is run: one file for each family of experiments, with its axes, groups, priorities and questions."""

from raysweep.experiment import Family


def families() -> tuple[Family, ...]:
    """All families, in the order in which they are listed."""
    from search_spaces import airbench, cifar_scattering, imagenet_scattering

    return (imagenet_scattering.FAMILY, cifar_scattering.FAMILY, airbench.FAMILY)
